// A tenant's Redis URL may name any server. The operator limits what it reads from it, keeps running, and still follows
// the other jobs.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Redis } from 'ioredis';
import t from 'tap';
import { jobKeys } from '../../worker/cluster/redis-keys.ts';
import { bulk, honest, hostileRedis } from '../support/hostile-redis.ts';
import type { Answers } from '../support/hostile-redis.ts';
import { noRedis, startRedis } from '../support/redis.ts';
import { sampleProgress } from '../support/sample-progress.ts';
import { until } from '../support/until.ts';

const CHILD = join(import.meta.dirname, '../support/mirror-pool-child.ts');
const SECONDS = 40;
const BLOCK = Buffer.alloc(1 << 20, 'x');

/** Writes a block repeatedly until the socket is closed. */
function flood(socket: Socket, block: Buffer): void {
  const more = () => {
    while (!socket.destroyed && socket.write(block)) continue;
  };
  socket.on('drain', more);
  more();
}

/** Answers one command with a reply that never ends: the block is repeated. */
const endless =
  (to: string, begin: string, block = BLOCK): Answers =>
  (command, socket) => {
    if (command !== to) return honest(command);
    socket.write(begin);
    setImmediate(() => flood(socket, block));
    return '';
  };
const says =
  (to: string, answer: string): Answers =>
  (command) =>
    command === to ? answer : honest(command);
const message = (payload: string) => `*3\r\n${bulk('message')}${bulk('fedbiot:progress')}${bulk(payload)}`;
const cluster: Answers = (command) => {
  if (command === 'info') return bulk('redis_version:7.2.0\r\nredis_mode:cluster\r\n');
  if (command === 'cluster')
    return `*1\r\n*3\r\n:0\r\n:9007199254740991\r\n*3\r\n${bulk('127.0.0.1')}:1\r\n${bulk('id')}`;
  return honest(command);
};

const attacks: Readonly<Record<string, Answers>> = {
  ...Object.fromEntries(
    ['auth', 'info', 'getrange', 'subscribe'].map((to) => [`bytes-${to}`, endless(to, '$4000000000\r\n')]),
  ),
  'gone-step': endless('eval', '*2\r\n$4000000000\r\n'),
  'gone-never': (command) => (command === 'eval' ? `*2\r\n${bulk('7')}:1\r\n` : honest(command)),
  line: endless('getrange', '+'),
  'error-line': endless('info', '-ERR '),
  'length-line': endless('getrange', '$', Buffer.alloc(1 << 20, '1')),
  array: says('getrange', '*1000000000\r\n'),
  items: endless('getrange', '*4000000\r\n', Buffer.from(':1\r\n'.repeat(1 << 16))),
  nested: endless('getrange', '*1\r\n', Buffer.from('*1\r\n'.repeat(1 << 16))),
  'large-message': endless(
    'subscribe',
    `${honest('subscribe')}*3\r\n${bulk('message')}${bulk('fedbiot:progress')}$4000000000\r\n`,
  ),
  messages: endless('subscribe', honest('subscribe'), Buffer.from(message('lab/messages').repeat(1 << 14))),
  ...Object.fromEntries(
    [
      '$-1',
      '*-1',
      '*0',
      '_',
      '>1\r\n$-1',
      '*1\r\n$-1',
      `*2\r\n${bulk('message')}$-1`,
      `*4\r\n${bulk('pmessage')}$1\r\nx\r\n*-1\r\n*-1`,
      'HTTP/1.1 400 Bad Request',
    ].flatMap((answer, i) => [
      [`unasked-${i}`, says('getrange', `${bulk('')}${answer}\r\n`)],
      [`subscriber-${i}`, says('subscribe', `${honest('subscribe')}${answer}\r\n`)],
      [`answer-${i}`, says('subscribe', `${answer}\r\n`)],
      [`info-${i}`, says('info', `${answer}\r\n`)],
    ]),
  ),
  slots: cluster,
  'moved-round': says('getrange', '-MOVED 1 :1\r\n'),
  'moved-nowhere': says('getrange', '-MOVED 1 a b:99999\r\n'),
  'moved-name': says('getrange', '-MOVED 1 a%00b@c:99999\r\n'),
  silent: () => '',
};

t.test(
  'no answer of a hostile Redis exhausts, blocks or ends the operator',
  { skip: noRedis, timeout: 120_000 },
  async (t) => {
    const redis = await startRedis(t);
    const raw = new Redis(redis.url);
    t.teardown(() => raw.disconnect());
    const urls: Record<string, string> = { honest: redis.url };
    const servers = new Map<string, Awaited<ReturnType<typeof hostileRedis>>>();
    const swept = new Set<string>();
    for (const [name, answers] of Object.entries(attacks)) {
      const server = await hostileRedis(t, (command, socket) => {
        if (command === 'eval') swept.add(name);
        return answers(command, socket);
      });
      servers.set(name, server);
      urls[name] = `redis://:secret@127.0.0.1:${server.port}`;
    }
    const child = spawn(process.execPath, [CHILD, JSON.stringify(urls)], { stdio: ['pipe', 'pipe', 'pipe'] });
    t.teardown(() => child.kill('SIGKILL'));
    const lines: string[] = [];
    let errors = '';
    createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
    child.stderr.on('data', (data) => void (errors += data));
    const exited = once(child, 'exit');

    const waitFor = (what: string, holds: () => boolean, state: () => unknown) =>
      until(
        what,
        SECONDS,
        () => {
          if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}: ${errors.slice(-2000)}`);
          return holds() || null;
        },
        state,
      );
    const hearsHonest = async (round: number) => {
      await raw.set(jobKeys('honest').progress, JSON.stringify(sampleProgress(round)));
      await raw.publish('fedbiot:progress', 'lab/honest');
      const line = JSON.stringify({ changed: 'lab/honest', round });
      await waitFor(
        `round ${round} of the honest job`,
        () => lines.includes(line),
        () => lines.slice(-20),
      );
    };
    const connections = () => Object.fromEntries([...servers].map(([name, server]) => [name, server.connections()]));
    const connected = (times: number) =>
      waitFor(
        `${times} connections to each hostile server`,
        () => Object.values(connections()).every((count) => count >= times),
        connections,
      );

    // If the operator connects to a server again, it has cut off an earlier reply.
    await hearsHonest(1);
    await connected(2);
    child.stdin.write('forget\n');
    await hearsHonest(2);
    const gone = [...servers.keys()].filter((name) => name.startsWith('gone-'));
    await waitFor(
      'the removal of the deleted jobs’ keys',
      () => gone.every((name) => swept.has(name)),
      () => [...swept],
    );
    await connected(4);
    await hearsHonest(3);
    child.stdin.write('end\n');
    const [code] = await exited;
    t.equal(code, 0, errors.slice(-2000));
    const { maxRssMiB, longestCpuMs, asked } = JSON.parse(lines.at(-1) ?? '{}');
    t.comment({ maxRssMiB, longestCpuMs, asked });
    // A reply that was stored completely would need 4 GB.
    t.ok(maxRssMiB < 500, `${maxRssMiB} MiB at most`);
    t.ok(longestCpuMs < 2_000, `${longestCpuMs} ms of CPU time at most in one turn of the event loop`);
    const warnings = lines
      .filter((line) => line.includes('Redis sent an invalid or oversized answer'))
      .map((line) => JSON.parse(line));
    for (const words of [
      /4000000\d* bytes or more/,
      /a line has more than/,
      /1000000000 items/,
      /levels deep/,
      /no command requested/,
      /its answer to SUBSCRIBE/,
      /does not speak/,
    ]) {
      t.ok(
        warnings.some(({ reason }) => words.test(reason)),
        `logged: ${words}`,
      );
    }
    t.notMatch(lines.join('\n') + errors, /secret/);
    t.ok(lines.length < 20 * servers.size, 'the log does not repeat itself without end');
    // Each request for a report may open a connection. Other connections are attempted after growing pauses.
    for (const [name, server] of servers)
      t.ok(
        server.connections() <= asked + 20,
        `${name}: ${server.connections()} connections, ${asked} reports asked for`,
      );
  },
);
