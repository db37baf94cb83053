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
import { sampleProgress as progress } from '../support/sample-progress.ts';
import { until } from '../support/until.ts';

const SECONDS = 60;

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
  const round = () => mirror.progressOf(JOB.uid)?.round;
  const waitFor = (what: string, holds: () => boolean | Promise<boolean>) =>
    until(
      what,
      SECONDS,
      async () => (await holds()) || null,
      () => ({ ...seen, round: round() }),
    );
  return { mirror, seen, jobs, round, waitFor };
}

async function started(t: Test) {
  const server = await startRedis(t);
  const redis = new Redis(server.url, { maxRetriesPerRequest: null });
  redis.on('error', () => {});
  t.teardown(() => redis.disconnect());
  const keys = jobKeys(JOB.uid);
  const put = (value: unknown) => redis.set(keys.progress, typeof value === 'string' ? value : JSON.stringify(value));
  const subscribed = async () => (await redis.pubsub('NUMSUB', PROGRESS_CHANNEL))[1] === 1;
  return { server, redis, keys, put, subscribed };
}

const NEVER = 1_000_000;

t.test('published progress is mirrored, and the last write wins', { skip: noRedis }, async (t) => {
  const { server, redis, put, subscribed } = await started(t);
  await put(progress(1));
  const { mirror, seen, jobs, round, waitFor } = mirrorOf(t, server.url, NEVER);
  await waitFor('the progress written before the mirror started', () => round() === 1);
  const publish = async (value: unknown) => {
    await put(value);
    await redis.publish(PROGRESS_CHANNEL, JOB.key);
  };
  await waitFor('the mirror has subscribed', subscribed);
  await publish(progress(2));
  await waitFor('the published progress', () => round() === 2);
  t.equal(seen.changed, 2);

  for (const [value, words] of [
    ['{', /not JSON/],
    [{ ...progress(9), round: -1 }, /not a job's progress/],
    [{ ...progress(9), localLoss: 'NaN' }, /not a job's progress/],
    [{ ...progress(9), rounds: 2_000_000_000 }, /not a job's progress/],
    [{ ...progress(9), at: '+275760-09-13T00:00:00Z' }, /not a job's progress/],
    [`{"refusals":${'{"a":'.repeat(9_000)}1${'}'.repeat(9_000)}}`, /nested/],
    [JSON.stringify({ ...progress(9), more: 'x'.repeat(100_000) }), /more than/],
  ] as const) {
    await publish(value);
    await waitFor(`a warning that matches ${words}`, () => words.test(seen.warnings));
    seen.warnings = '';
  }
  t.equal(round(), 2, 'invalid progress changes nothing');

  await redis.publish(PROGRESS_CHANNEL, 'team/unknown');
  await publish({
    ...progress(3),
    later: { more: 1 },
    clients: { ...progress().clients, later: 1 },
    refusals: { later: 'x' },
  });
  await waitFor('progress with fields of a newer version', () => round() === 3);
  t.strictSame(mirror.progressOf(JOB.uid), progress(3), 'without the unknown fields');
  t.equal(seen.changed, 3);
  await publish(progress(3));

  // The last write wins: no claim in one message can block the next.
  await publish({ ...progress(1_000_000_000), fence: Number.MAX_SAFE_INTEGER, sequence: Number.MAX_SAFE_INTEGER });
  await waitFor('the progress of any other writer', () => round() === 1_000_000_000);
  await publish({ ...progress(4), fence: 5, sequence: 1 });
  await waitFor('the next progress of the server pod', () => round() === 4);
  t.equal(seen.changed, 5, 'the same progress twice is one change');

  jobs.length = 0;
  mirror.forget(JOB.uid);
  t.equal(mirror.progressOf(JOB.uid), null);
});

t.test('a job is read once per pause, however often it is published', { skip: noRedis }, async (t) => {
  const { server, redis, put, subscribed } = await started(t);
  await put(progress(1));
  const { mirror, seen, jobs, round, waitFor } = mirrorOf(t, server.url, NEVER, NEVER);
  await waitFor('the first progress', () => round() === 1);
  await waitFor('the mirror has subscribed', subscribed);
  for (let each = 2; each <= 20; each++) {
    await put(progress(each));
    await redis.publish(PROGRESS_CHANNEL, JOB.key);
  }
  // Messages arrive in order: once this one is handled, those before it are too.
  const later = { key: 'team/later', uid: 'u-2' };
  jobs.push(later);
  await redis.set(jobKeys(later.uid).progress, JSON.stringify(progress(1)));
  await redis.publish(PROGRESS_CHANNEL, later.key);
  await waitFor('the progress of the later job', () => mirror.progressOf(later.uid) !== null);
  t.equal(seen.changed, 2, 'one change of each job');
});

t.test(
  'the mirror polls where nothing is published, and keeps its last progress while Redis is down',
  { skip: noRedis },
  async (t) => {
    const { server, put } = await started(t);
    const { mirror, seen, round, waitFor } = mirrorOf(t, server.url, 50);
    await waitFor('the mirror has connected', () => seen.connected);
    t.equal(mirror.progressOf(JOB.uid), null);
    await put(progress(1));
    await waitFor('the polled progress', () => round() === 1);
    await server.kill();
    await waitFor('the mirror reports that it has lost Redis', () => !seen.connected);
    t.equal(round(), 1);
    await t.rejects(mirror.reportOf(JOB.uid), 'a report fails at once while Redis is down');
    await server.restart();
    await put(progress(7));
    await waitFor('the mirror has reconnected and read again', () => seen.connected && round() === 7);
  },
);

t.test('the report is checked', { skip: noRedis }, async (t) => {
  const { server, redis, keys } = await started(t);
  const { mirror, seen, waitFor } = mirrorOf(t, server.url, NEVER);
  await waitFor('the mirror has connected', () => seen.connected);
  t.equal(await mirror.reportOf(JOB.uid), null);
  await redis.set(keys.report, '{"job": 1}');
  await t.rejects(mirror.reportOf(JOB.uid), { name: 'NotUsable', message: /is not a report/ });
});

t.test('Redis’s memory is reported while Redis answers', { skip: noRedis }, async (t) => {
  const server = await startRedis(t, { config: { maxmemory: '64mb' } });
  const { seen, waitFor } = mirrorOf(t, server.url, 50);
  const reported = () => seen.memory?.max === 64 * 2 ** 20 && seen.memory.used > 0;
  await waitFor('Redis’s memory and its limit', reported);
  await server.kill();
  await waitFor('no memory while Redis is down', () => seen.memory === null);
  await server.restart();
  await waitFor('the memory after the restart', reported);
});

t.test('a time in the future is replaced by the time of the first read', { skip: noRedis }, async (t) => {
  const { server, redis, put } = await started(t);
  const reads = async () => Number(/cmdstat_getrange:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1] ?? 0);
  const { mirror, seen, waitFor } = mirrorOf(t, server.url, 20);
  const before = Date.now();
  await put({ ...progress(1), at: '9999-12-31T23:59:59Z' });
  await waitFor('the progress with a time in the future', () => mirror.progressOf(JOB.uid) !== null);
  const at = mirror.progressOf(JOB.uid)?.at ?? '';
  t.ok(Date.parse(at) >= before && Date.parse(at) <= Date.now(), at);
  const sofar = await reads();
  await waitFor('five more reads of the same progress', async () => (await reads()) >= sofar + 5);
  t.equal(mirror.progressOf(JOB.uid)?.at, at, 'reading it again does not move the time');
  t.equal(seen.changed, 1);
  await put(progress(2));
  await waitFor('the next progress', () => mirror.progressOf(JOB.uid)?.round === 2);
  t.equal(mirror.progressOf(JOB.uid)?.at, progress(2).at, 'a time in the past is kept');
});
