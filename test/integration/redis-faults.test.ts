import { randomUUID } from 'node:crypto';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { readProgress } from '../../operator/progress/read-json.ts';
import { KEYS_TTL_SECONDS, jobKeys } from '../../worker/cluster/redis-keys.ts';
import { coordinate } from '../../worker/federation/coordinator.ts';
import { runClientWorker } from '../../worker/federation/client-worker.ts';
import { sha256 } from '../../worker/files/sha256.ts';
import { RedisClientTransport } from '../../worker/transport/redis/client.ts';
import { checkRedis } from '../../worker/transport/redis/connect.ts';
import { acquireFence } from '../../worker/transport/redis/fence.ts';
import { RedisProgress, isFinished, readBundle } from '../../worker/transport/redis/progress.ts';
import { removeJobKeys } from '../../operator/redis/remove-job-keys.ts';
import { ResultQueue } from '../../worker/transport/redis/result-queue.ts';
import { RedisServerTransport } from '../../worker/transport/redis/server.ts';
import { CHUNK_BYTES } from '../../worker/transport/redis/chunks.ts';
import { RedisTensors } from '../../worker/transport/redis/tensors.ts';
import { settings } from '../support/quadratic-federation.ts';
import { digest, inRunDirectory, runQuadratic } from '../support/quadratic-run.ts';
import { connection, noRedis, startRedis } from '../support/redis.ts';
import type { TestRedis } from '../support/redis.ts';
import { sampleProgress } from '../support/sample-progress.ts';

const forever = new AbortController().signal;
const round = { job: 'job', round: 1, attempt: 1 };
const text = (says: string) => new TextEncoder().encode(says);
const seal = (bytes: Uint8Array) => ({ bytes, sha256: sha256(bytes) });
const task = (client: number, bytes = text('package')) => ({
  ...round,
  client,
  sha256: sha256(bytes),
  bytes: bytes.byteLength,
});

async function serverOf(t: Test, { url }: TestRedis, uid: string): Promise<RedisServerTransport> {
  const { token } = await acquireFence(connection(t, url), jobKeys(uid));
  const server = new RedisServerTransport({ url }, jobKeys(uid), token);
  t.teardown(() => server.close());
  return server;
}

function clientOf(t: Test, { url }: TestRedis, uid: string, lockMs = 30_000): RedisClientTransport {
  const client = new RedisClientTransport({ url }, jobKeys(uid), { lockMs });
  t.teardown(() => client.close());
  return client;
}

t.test('Redis', { skip: noRedis }, async (t) => {
  t.test('problems of Redis are reported at the start', async (t) => {
    const good = await startRedis(t, { password: 'right' });
    t.strictSame(await checkRedis(good), { isCluster: false, warnings: [] });
    const host = good.url.split('@')[1];
    await t.rejects(checkRedis({ url: `redis://:wrong@${host}` }), {
      name: 'RedisUnusable',
      message: /refuses the user or password/,
    });
    await t.rejects(checkRedis({ url: `redis://${host}` }), { name: 'RedisUnusable', message: /requires credentials/ });
    await t.rejects(checkRedis({ url: 'http://redis' }), {
      name: 'RedisUnusable',
      message: /does not begin with redis/,
    });
    await t.rejects(checkRedis({ url: `${good.url}/99` }), { name: 'RedisUnusable', message: /has no database 99/ });
    t.match(await checkRedis({ url: `${good.url}/3` }), { isCluster: false });
    await good.kill();
    const error: unknown = await checkRedis(good).catch((error: unknown) => error);
    t.match(error, { name: 'RedisUnusable', message: /cannot be reached.*ECONNREFUSED/ });
    t.notMatch(String(error), 'right', 'the password is not told');
  });

  t.test('a Redis that evicts is refused; one without a limit causes a warning', async (t) => {
    const evicting = await startRedis(t, { config: { maxmemory: '100mb', 'maxmemory-policy': 'allkeys-lru' } });
    await t.rejects(checkRedis(evicting), { name: 'RedisUnusable', message: /allkeys-lru.*evict/ });
    await connection(t, evicting.url).config('SET', 'maxmemory', '0');
    t.match(await checkRedis(evicting), { warnings: [/allkeys-lru/] });
  });

  t.test('tensors: chunks travel whole; what is missing or changed is refused', async (t) => {
    const redis = connection(t, (await startRedis(t)).url);
    const keys = jobKeys('tensors');
    const tensors = new RedisTensors(redis, keys, 60);
    const sealed = seal(new Uint8Array(2 * CHUNK_BYTES + 5).map((_, i) => i % 251));
    const announced = { bytes: sealed.bytes.byteLength, sha256: sealed.sha256 };
    const read = (expected = announced) => tensors.read('x', expected, 'x', 'late');
    const fence = await acquireFence(redis, keys);
    await tensors.write('x', sealed, fence);
    t.ok(Buffer.from(await read()).equals(sealed.bytes));
    t.ok((await redis.ttl(`${keys.tensors}:x:2`)) > 0);
    await t.rejects(read({ ...announced, bytes: 3 }), { name: 'Refused', reason: 'wrong-digest' });
    await redis.set(`${keys.tensors}:x:1`, 'short');
    await t.rejects(read(), { reason: 'wrong-digest', message: /chunk 1 has 5 bytes/ });
    await redis.del(`${keys.tensors}:x:1`);
    await t.rejects(read(), { reason: 'wrong-digest', message: /chunk 1 of 3 is gone/ });
    await redis.set(`${keys.tensors}:x`, 'no json');
    await t.rejects(read(), { reason: 'wrong-digest', message: /manifest/ });
    await tensors.write('x', sealed, fence);
    await tensors.unlink('x');
    t.strictSame(await redis.keys('*'), [keys.fence]);
    await t.rejects(read(), { name: 'Refused', reason: 'late' });
  });

  t.test('a package of the right size with other bytes is refused', async (t) => {
    const redis = await startRedis(t);
    const server = await serverOf(t, redis, 'changed');
    const client = clientOf(t, redis, 'changed');
    await server.publish(round, seal(text('package')));
    const keys = jobKeys('changed');
    const raw = connection(t, redis.url);
    const [chunk, ...others] = (await raw.keys(`${keys.tensors}:*:0`)).sort();
    t.strictSame(others, []);
    await raw.set(chunk ?? '', 'PACKAGE');
    await t.rejects(client.fetch(task(0)), { name: 'Refused', reason: 'wrong-digest', message: /SHA-256/ });
  });

  t.test('a fenced server cannot write, and does not disturb the new one', async (t) => {
    const redis = await startRedis(t);
    const old = await serverOf(t, redis, 'fenced');
    const client = clientOf(t, redis, 'fenced');
    await old.dispatch(task(0));
    const delivery = await client.take(forever);
    const now = await serverOf(t, redis, 'fenced');
    await now.publish(round, seal(text('package')));
    const fenced = { name: 'Fenced' };
    await t.rejects(old.publish(round, seal(text('stale'))), fenced);
    await t.rejects(old.dispatch(task(1)), fenced);
    await t.rejects(old.unlink(round), fenced);
    await client.submit(delivery!, { header: '{}', payload: text('result'), sha256: sha256(text('result')) });
    await t.rejects(old.receive(forever), fenced);
    t.equal(Buffer.from(await client.fetch(task(0))).toString(), 'package');
    const arrival = await now.receive(forever);
    t.equal(Buffer.from(await arrival!.read()).toString(), 'result');
  });

  t.test('later servers have greater tokens, also when Redis has forgotten the earlier ones', async (t) => {
    const raw = connection(t, (await startRedis(t)).url);
    const keys = jobKeys('tokens');
    const first = await acquireFence(raw, keys);
    const second = await acquireFence(raw, keys);
    t.ok(second.token > first.token);
    await raw.set(keys.fence, second.token + 1_000_000);
    t.equal((await acquireFence(raw, keys)).token, second.token + 1_000_001, 'whatever Redis’s clock says');
    await raw.flushall();
    while (Date.now() <= second.token) await new Promise(setImmediate);
    const third = await acquireFence(raw, keys);
    t.ok(third.token > second.token);
    await t.rejects(second.check(), { name: 'Fenced' });
    await third.check();
  });

  t.test('a result is sent and taken once by calls whose answers were lost', async (t) => {
    const raw = connection(t, (await startRedis(t)).url);
    const keys = jobKeys('lost-answers');
    const fence = await acquireFence(raw, keys);
    const results = new ResultQueue(raw, keys);
    const entryOf = (digit: string) => ({
      name: `result-${digit.repeat(8)}-0000-4000-8000-000000000000`,
      bytes: 0,
      sha256: digit.repeat(64),
    });
    const [first, second] = [entryOf('1'), entryOf('2')];
    t.equal(await results.take(fence, 'early', 100), null);
    for (const entry of [first, second]) {
      t.equal(await results.reserve(entry), null);
      for (let times = 0; times < 2; times++) await results.send(entry, `of ${entry.sha256[0]}`);
    }
    for (let times = 0; times < 2; times++)
      t.strictSame(await results.take(fence, 'a call', 100), { entry: first, header: 'of 1' });
    t.strictSame(await results.take(fence, 'another', 100), { entry: second, header: 'of 2' });
    t.equal(await results.take(fence, 'a third', 100), null);
    await acquireFence(raw, keys);
    await t.rejects(results.take(fence, 'another', 100), { name: 'Fenced' });
  });

  t.test('two jobs in one Redis do not see each other; removing one leaves the other', async (t) => {
    const redis = await startRedis(t);
    const [a, b] = [await serverOf(t, redis, 'a'), await serverOf(t, redis, 'b')];
    await a.dispatch(task(1));
    await b.dispatch(task(2));
    t.equal((await clientOf(t, redis, 'b').take(forever))?.task.client, 2);
    t.equal((await clientOf(t, redis, 'a').take(forever))?.task.client, 1);
    const raw = connection(t, redis.url);
    t.ok((await removeJobKeys(raw, ['a'])) > 0);
    t.strictSame(await raw.keys('fedbiot:{a}*'), []);
    t.not((await raw.keys('fedbiot:{b}*')).length, 0);
  });

  t.test('the task of a client that was killed goes to another; a client that lives keeps its own', async (t) => {
    const redis = await startRedis(t);
    const server = await serverOf(t, redis, 'killed');
    const lockMs = 3000;
    await server.dispatch(task(0));
    const script = join(import.meta.dirname, '../support/redis-client-child.ts');
    const child = spawn(process.execPath, [script, redis.url, 'killed', String(lockMs)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [output] = await once(child.stdout, 'data');
    t.equal(String(output), 'took 0\n');
    const other = clientOf(t, redis, 'killed', lockMs);
    t.equal(await other.take(AbortSignal.timeout(2 * lockMs)), null, 'its lock is renewed');
    child.kill('SIGKILL');
    await once(child, 'exit');
    const delivery = await other.take(forever);
    t.equal(delivery?.task.client, 0);
  });

  t.test('a lock that was lost withdraws the delivery', async (t) => {
    const redis = await startRedis(t);
    const server = await serverOf(t, redis, 'lock');
    await server.dispatch(task(0));
    const delivery = await clientOf(t, redis, 'lock', 1000).take(forever);
    const raw = connection(t, redis.url);
    await raw.del(...(await raw.keys('*:lock')));
    if (!delivery!.withdrawn.aborted) await once(delivery!.withdrawn, 'abort');
    t.ok(delivery!.withdrawn.aborted);
  });

  t.test('Redis restarted in the middle of a round loses nothing', async (t) => {
    const redis = await startRedis(t, { aof: true });
    const server = await serverOf(t, redis, 'restart');
    const client = clientOf(t, redis, 'restart');
    await server.publish(round, seal(text('package')));
    for (const i of [0, 1]) await server.dispatch(task(i));
    const first = await client.take(forever);
    const waiting = server.receive(forever);
    await redis.restart();
    t.equal(Buffer.from(await client.fetch(task(0))).toString(), 'package');
    await client.submit(first!, { header: 'first', payload: text('first'), sha256: sha256(text('first')) });
    t.equal(Buffer.from(await (await waiting)!.read()).toString(), 'first');
    t.equal((await client.take(forever))?.task.client, 1);
  });

  t.test('progress: the operator reads what a server writes; a fenced server writes nothing', async (t) => {
    const raw = connection(t, (await startRedis(t)).url);
    const keys = jobKeys('p');
    const fence = await acquireFence(raw, keys);
    const progress = new RedisProgress(raw, keys, fence, 'ns/job');
    const told = {
      ...sampleProgress(2),
      at: new Date().toISOString(),
      finishedRounds: 1,
      clients: { selected: 4, reported: 2, dropped: 0, refused: 1 },
      refusals: { late: 1 },
      alignmentLoss: 0.5,
    };
    t.equal(await readProgress(raw, 'p'), null);
    await progress.write(told);
    t.strictSame(await readProgress(raw, 'p'), told);
    t.ok((await raw.ttl(keys.progress)) <= KEYS_TTL_SECONDS);
    await progress.announceBundle({ sha256: sha256(text('b')), bytes: 7 });
    t.match(await readBundle(raw, keys), { bytes: 7 });
    t.equal(await isFinished(raw, keys), false);
    await progress.markFinished();
    t.equal(await isFinished(raw, keys), true, 'once the server pod has marked the job as finished');
    await raw.set(keys.progress, '{"fence":"x"}');
    await t.rejects(readProgress(raw, 'p'), { name: 'NotUsable' });
    await acquireFence(raw, keys);
    await t.rejects(progress.write(told), { name: 'Fenced' });
  });

  t.test('a whole federation over Redis, restarted once, gives the adapter of one in memory', async (t) => {
    const redis = await startRedis(t, { aof: true });
    const uid = randomUUID();
    const job = settings({ rounds: 3, clients: 4, dropoutRate: 0.2, quorum: 1 });
    const root = t.testdir({});
    const expected = digest(await runQuadratic(join(root, 'memory'), job));
    const restarts: Promise<void>[] = [];
    const onEvent = ({ event }: { event: string }) => {
      if (event === 'client' && restarts.length === 0) restarts.push(redis.restart());
    };
    const outcome = await inRunDirectory(join(root, 'redis'), job, { workers: 2, onEvent }, async (parts) => {
      const server = await serverOf(t, redis, uid);
      const stop = new AbortController();
      const clients = parts.trainers.map((trainer) =>
        runClientWorker({
          transport: clientOf(t, redis, uid),
          trainer,
          layouts: parts.layouts,
          onStep: () => undefined,
          onSweep: () => undefined,
          signal: stop.signal,
        }),
      );
      try {
        return await coordinate({ ...parts, transport: server, sharesProcesses: false });
      } finally {
        stop.abort();
        await server.close();
        await Promise.all(clients);
      }
    });
    await Promise.all(restarts);
    t.equal(restarts.length, 1);
    t.equal(digest(outcome), expected);
  });
});
