import { Redis } from 'ioredis';
import t from 'tap';
import type { Test } from 'tap';
import { createLog } from '../../operator/process/log.ts';
import { ProgressMirror } from '../../operator/progress/mirror.ts';
import type { MirroredJob } from '../../operator/progress/mirror.ts';
import type { RedisMemory } from '../../operator/redis/memory.ts';
import { jobKeys, PROGRESS_CHANNEL } from '../../worker/cluster/redis-keys.ts';
import { readRedisUrl } from '../../worker/transport/redis/redis-url.ts';
import { noRedis, startRedis } from '../support/redis.ts';
import { toldProgress as told } from '../support/told-progress.ts';

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 60_000;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const JOB: MirroredJob = { key: 'team/tune', uid: 'u-1' };

function mirrorOf(t: Test, url: string, pollMs: number, pauseMs = 20) {
  const seen = { changed: 0, connected: false, memory: null as RedisMemory | null, warnings: '' };
  const jobs = [JOB];
  const mirror = new ProgressMirror({
    endpoint: readRedisUrl(url),
    log: createLog('warn', { write: (line) => void (seen.warnings += line) }),
    jobs: () => jobs,
    changed: () => void seen.changed++,
    connected: (isConnected) => void (seen.connected = isConnected),
    memory: (memory) => void (seen.memory = memory),
    now: Date.now,
    pollMs,
    pauseMs,
  });
  t.teardown(() => mirror.close());
  return { mirror, seen, jobs, round: () => mirror.progressOf(JOB.uid)?.round };
}

async function started(t: Test) {
  const server = await startRedis(t);
  const redis = new Redis(server.url, { maxRetriesPerRequest: null });
  redis.on('error', () => {});
  t.teardown(() => redis.disconnect());
  const keys = jobKeys(JOB.uid);
  const put = (value: unknown) => redis.set(keys.progress, typeof value === 'string' ? value : JSON.stringify(value));
  return { server, redis, keys, put };
}

const NEVER = 1_000_000;

t.test('what is published is mirrored, and whoever wrote last is heard', { skip: noRedis }, async (t) => {
  const { server, redis, put } = await started(t);
  await put(told(1));
  const { mirror, seen, jobs, round } = mirrorOf(t, server.url, NEVER);
  await until('what was told before', () => round() === 1);
  const publish = async (value: unknown) => {
    await put(value);
    await redis.publish(PROGRESS_CHANNEL, JOB.key);
  };
  await until('subscribed', async () => (await redis.pubsub('NUMSUB', PROGRESS_CHANNEL))[1] === 1);
  await publish(told(2));
  await until('what was published', () => round() === 2);
  t.equal(seen.changed, 2);

  for (const [value, words] of [
    ['{', /not JSON/],
    [{ ...told(9), round: -1 }, /not a job's progress/],
    [{ ...told(9), localLoss: 'NaN' }, /not a job's progress/],
    [{ ...told(9), rounds: 2_000_000_000 }, /not a job's progress/],
    [{ ...told(9), at: '+275760-09-13T00:00:00Z' }, /not a job's progress/],
    [`{"refusals":${'{"a":'.repeat(9_000)}1${'}'.repeat(9_000)}}`, /nested/],
    [JSON.stringify({ ...told(9), more: 'x'.repeat(100_000) }), /more than/],
  ] as const) {
    await publish(value);
    await until(String(words), () => words.test(seen.warnings));
    seen.warnings = '';
  }
  t.equal(round(), 2, 'what cannot be used changes nothing');

  await redis.publish(PROGRESS_CHANNEL, 'team/unknown');
  await publish({ ...told(3), later: { more: 1 }, clients: { ...told().clients, later: 1 }, refusals: { later: 'x' } });
  await until('what a newer pod tells', () => round() === 3);
  t.strictSame(mirror.progressOf(JOB.uid), told(3), 'without what nobody here knows');
  t.equal(seen.changed, 3);
  await publish(told(3));

  // Whoever wrote last is heard: nothing that one message claims shuts out the next.
  await publish({ ...told(1_000_000_000), fence: Number.MAX_SAFE_INTEGER, sequence: Number.MAX_SAFE_INTEGER });
  await until('somebody who may write', () => round() === 1_000_000_000);
  await publish({ ...told(4), fence: 5, sequence: 1 });
  await until('the server pod again', () => round() === 4);
  t.equal(seen.changed, 5, 'what is told twice is no news');

  jobs.length = 0;
  mirror.forget(JOB.uid);
  t.equal(mirror.progressOf(JOB.uid), null);
});

t.test('however often it is told, a job is read once in a pause', { skip: noRedis }, async (t) => {
  const { server, redis, put } = await started(t);
  await put(told(1));
  const { mirror, seen, jobs, round } = mirrorOf(t, server.url, NEVER, NEVER);
  await until('read', () => round() === 1);
  await until('subscribed', async () => (await redis.pubsub('NUMSUB', PROGRESS_CHANNEL))[1] === 1);
  for (let each = 2; each <= 20; each++) {
    await put(told(each));
    await redis.publish(PROGRESS_CHANNEL, JOB.key);
  }
  // What is published after all this is heard after it.
  const later = { key: 'team/later', uid: 'u-2' };
  jobs.push(later);
  await redis.set(jobKeys(later.uid).progress, JSON.stringify(told(1)));
  await redis.publish(PROGRESS_CHANNEL, later.key);
  await until('the later job', () => mirror.progressOf(later.uid) !== null);
  t.equal(seen.changed, 2, 'one change of either job');
});

t.test(
  'without a publication it looks from time to time; without Redis it keeps what it knows',
  { skip: noRedis },
  async (t) => {
    const { server, put } = await started(t);
    const { mirror, seen, round } = mirrorOf(t, server.url, 50);
    await until('connected', () => seen.connected);
    t.equal(mirror.progressOf(JOB.uid), null);
    await put(told(1));
    await until('polled', () => round() === 1);
    await server.kill();
    await until('the loss is known', () => !seen.connected);
    t.equal(round(), 1);
    await t.rejects(mirror.reportOf(JOB.uid), 'nobody waits for a Redis that is away');
    await server.restart();
    await put(told(7));
    await until('back', () => seen.connected && round() === 7);
  },
);

t.test('the report is checked', { skip: noRedis }, async (t) => {
  const { server, redis, keys } = await started(t);
  const { mirror, seen } = mirrorOf(t, server.url, NEVER);
  await until('connected', () => seen.connected);
  t.equal(await mirror.reportOf(JOB.uid), null);
  await redis.set(keys.report, '{"job": 1}');
  await t.rejects(mirror.reportOf(JOB.uid), { name: 'NotUsable', message: /is not a report/ });
});

t.test("Redis's memory is told while it answers", { skip: noRedis }, async (t) => {
  const server = await startRedis(t, { config: { maxmemory: '64mb' } });
  const { seen } = mirrorOf(t, server.url, 50);
  const told = () => seen.memory?.max === 64 * 2 ** 20 && seen.memory.used > 0;
  await until('told', told);
  await server.kill();
  await until('nothing more is said', () => seen.memory === null);
  await server.restart();
  await until('told again', told);
});

t.test('a time to come counts as the time at which it was heard of, once', { skip: noRedis }, async (t) => {
  const { server, put } = await started(t);
  const { mirror, seen } = mirrorOf(t, server.url, 20);
  const before = Date.now();
  await put({ ...told(1), at: '9999-12-31T23:59:59Z' });
  await until('it is heard', () => mirror.progressOf(JOB.uid) !== null);
  const at = mirror.progressOf(JOB.uid)?.at ?? '';
  t.ok(Date.parse(at) >= before && Date.parse(at) <= Date.now(), at);
  await new Promise((resolve) => setTimeout(resolve, 200));
  t.equal(mirror.progressOf(JOB.uid)?.at, at, 'though it is read again and again');
  t.equal(seen.changed, 1);
  await put(told(2));
  await until('the next is heard', () => mirror.progressOf(JOB.uid)?.round === 2);
  t.equal(mirror.progressOf(JOB.uid)?.at, told(2).at, 'a time that is past is as it was told');
});
