import type { Redis } from 'ioredis';
import t from 'tap';
import type { Test } from 'tap';
import { createLog } from '../../operator/process/log.ts';
import { jobRegistry } from '../../operator/progress/job-registry.ts';
import { MirrorPool } from '../../operator/progress/mirror-pool.ts';
import type { RedisAddress } from '../../operator/progress/shared-mirrors.ts';
import type { RedisMemory } from '../../operator/redis/memory.ts';
import type { JobObject } from '../../operator/objects/job-object.ts';
import { jobKeys } from '../../worker/cluster/redis-keys.ts';
import { jobObject } from '../support/planned-job.ts';
import { connection, noRedis, startRedis } from '../support/redis.ts';
import { sampleProgress } from '../support/sample-progress.ts';
import { until } from '../support/until.ts';

const SECONDS = 30;

/** A job with a new uid, which uses its own Redis or the operator's. */
function job(uid: string, own: boolean, status?: JobObject['status']): JobObject {
  const made = jobObject(own ? { redis: { urlFrom: { name: `redis-of-${uid}` } } } : {}, {
    name: uid,
    ...(status === undefined ? {} : { status }),
  });
  return { ...made, metadata: { ...made.metadata, uid } };
}

function poolOf(
  t: Test,
  defaultUrl: string | null,
  jobs: JobObject[],
  sweepAgainMs = 20,
  registry: string | null = null,
) {
  const addresses = new Map<string, RedisAddress | null | Error>();
  const seen = { changed: [] as string[], connected: false, memory: null as RedisMemory | null, log: '', asked: 0 };
  const pool = new MirrorPool({
    defaultRedis: defaultUrl === null ? null : { url: defaultUrl, ca: null },
    log: createLog('debug', { write: (line) => void (seen.log += line) }),
    jobs: () => jobs,
    async addressOf({ metadata }) {
      seen.asked++;
      const address = addresses.get(metadata.uid) ?? null;
      if (address instanceof Error) throw address;
      return address;
    },
    changed: (key) => void seen.changed.push(key),
    connected: (isConnected) => void (seen.connected = isConnected),
    memory: (memory) => void (seen.memory = memory),
    leads: () => true,
    registry,
    now: () => Date.parse('2026-01-01T00:02:00Z'),
    settleMs: 20,
    sweepAgainMs,
  });
  t.teardown(() => pool.close());
  return { pool, addresses, seen };
}

const put = (redis: Redis, uid: string, round: number) =>
  redis.set(jobKeys(uid).progress, JSON.stringify(sampleProgress(round)));
const holds = (condition: boolean) => (condition ? true : null);
const connectionsTo = async (redis: Redis) => Number(/connected_clients:(\d+)/.exec(await redis.info('clients'))?.[1]);

t.test('each job is followed in its own Redis, and one Redis by one mirror', { skip: noRedis }, async (t) => {
  const [ours, theirs] = [
    await startRedis(t),
    await startRedis(t, { password: 'hunter2', config: { maxmemory: '1gb' } }),
  ];
  const [a, b] = [connection(t, ours.url), connection(t, theirs.url)];
  await Promise.all([put(a, 'plain', 1), put(b, 'own-1', 2), put(b, 'own-2', 3)]);
  const jobs = [job('plain', false), job('own-1', true), job('own-2', true)];
  const { pool, addresses, seen } = poolOf(t, ours.url, jobs);
  await until('the operator’s own Redis', SECONDS, () => holds(pool.progressOf('plain')?.round === 1));
  t.ok(seen.connected);
  t.equal(pool.progressOf('own-1'), null, 'its Secret is not there yet');
  await t.rejects(pool.reportOf(job('own-1', true)), { message: /not known/ });

  const before = await connectionsTo(b);
  for (const uid of ['own-1', 'own-2']) addresses.set(uid, { url: theirs.url, ca: null });
  await until('the jobs’ own Redis', SECONDS, () =>
    holds(pool.progressOf('own-1')?.round === 2 && pool.progressOf('own-2')?.round === 3),
  );
  t.equal((await connectionsTo(b)) - before, 2, 'a reader and a subscriber for both jobs');
  t.same([...new Set(seen.changed)].sort(), ['lab/own-1', 'lab/own-2', 'lab/plain']);
  t.equal(await pool.reportOf(job('own-1', true)), null);

  await b.set(jobKeys('own-2').report, 'x');
  for (const uid of ['own-1', 'own-2']) {
    const [gone] = jobs.splice(1, 1);
    if (gone !== undefined) await pool.forget(gone, uid === 'own-1');
    t.equal(pool.progressOf(uid), null);
  }
  t.equal(await b.exists(jobKeys('own-1').progress), 0, 'its keys go with it');
  t.equal(await b.exists(jobKeys('own-2').progress), 1, 'unless another replica leads');
  await until('the last one closes the mirror', SECONDS, async () => holds((await connectionsTo(b)) === before));
  t.notMatch(seen.log, /hunter2|127\.0\.0\.1/);
  t.equal(seen.memory?.max, 0, "only the operator's own Redis is asked for its memory");
});

t.test(
  'a wrong Secret is reported once, without its value, and the job is followed once it is right',
  { skip: noRedis },
  async (t) => {
    const redis = await startRedis(t, { password: 'hunter2' });
    await put(connection(t, redis.url), 'own', 1);
    const { pool, addresses, seen } = poolOf(t, null, [job('own', true), job('plain', false)]);
    const asked = async (times: number) => {
      const end = seen.asked + times;
      await until(`asked ${times} times`, SECONDS, () => holds(seen.asked >= end));
    };
    addresses.set('own', { url: 'hunter2', ca: null });
    await asked(3);
    addresses.set('own', new Error('forbidden'));
    await asked(3);
    const lines = seen.log.trim().split('\n');
    t.match(lines, [/the URL of Redis does not begin with.*percent-encode/, /forbidden/]);
    t.equal(lines.length, 2);
    addresses.set('own', { url: redis.url.replace('hunter2', 'hunter3'), ca: null });
    await until('the wrong password is told', SECONDS, () => holds(/WRONGPASS/.test(seen.log)));
    addresses.set('own', { url: redis.url, ca: null });
    await until('corrected', SECONDS, () => holds(pool.progressOf('own')?.round === 1));
    t.notMatch(seen.log, /hunter/);
    t.equal(pool.progressOf('plain'), null);
  },
);

t.test('an invalid URL is reported for its job alone; the others are followed', { skip: noRedis }, async (t) => {
  const redis = await startRedis(t);
  await put(connection(t, redis.url), 'honest', 1);
  const urls = [
    'redis://:pa%ss@redis',
    `${redis.url}?connectTimeout=x`,
    `${redis.url}?sentinels=x`,
    `${redis.url}?scripts=x`,
    ` ${redis.url}`,
    'redis:redis',
    `${redis.url}/x`,
    'redis://redis:0',
  ];
  const jobs = [...urls.map((_, i) => job(`wrong-${i}`, true)), job('honest', true)];
  const { pool, addresses, seen } = poolOf(t, null, jobs);
  for (const [i, url] of urls.entries()) addresses.set(`wrong-${i}`, { url, ca: null });
  addresses.set('honest', { url: redis.url, ca: null });
  await until('the honest one is heard', SECONDS, () => holds(pool.progressOf('honest')?.round === 1));
  const told = seen.log
    .trim()
    .split('\n')
    .filter((line) => /cannot follow/.test(line));
  t.strictSame(
    told.map((line) => JSON.parse(line).job),
    urls.map((_, i) => `wrong-${i}`),
    'each is reported once',
  );
  t.notMatch(seen.log, /pa%ss/);
});

t.test('progress of a job that has ended is still received for a minute', { skip: noRedis }, async (t) => {
  const redis = await startRedis(t);
  const raw = connection(t, redis.url);
  await Promise.all([put(raw, 'just', 1), put(raw, 'long', 1), put(raw, 'running', 1)]);
  const jobs = [
    job('just', false, { phase: 'Succeeded', completionTime: '2026-01-01T00:01:30Z' }),
    job('long', false, { phase: 'Failed', completionTime: '2026-01-01T00:00:30Z' }),
    job('running', false),
  ];
  const { pool } = poolOf(t, redis.url, jobs);
  await until('read', SECONDS, () => holds(pool.progressOf('just') !== null && pool.progressOf('running') !== null));
  t.equal(pool.progressOf('long'), null);
});

t.test('keys that the last pods write after the job was deleted are removed as well', { skip: noRedis }, async (t) => {
  const redis = await startRedis(t);
  const raw = connection(t, redis.url);
  const gone = job('own', true);
  const jobs = [gone];
  const { pool, addresses } = poolOf(t, null, jobs, 1000);
  await put(raw, 'own', 1);
  addresses.set('own', { url: redis.url, ca: null });
  await until('read', SECONDS, () => holds(pool.progressOf('own') !== null));
  jobs.length = 0;
  await pool.forget(gone, true);
  t.equal(await raw.dbsize(), 0);
  await put(raw, 'own', 2);
  await until('removed again', SECONDS, async () => holds((await raw.dbsize()) === 0));
  t.equal(pool.progressOf('own'), null);
});

t.test('keys in a Redis that is down are left to expire', { skip: noRedis }, async (t) => {
  const redis = await startRedis(t);
  const gone = job('plain', false);
  const { pool, seen } = poolOf(t, redis.url, [gone]);
  await until('connected', SECONDS, () => holds(seen.connected));
  await redis.kill();
  await until('lost', SECONDS, () => holds(!seen.connected));
  await pool.forget(gone, true);
  t.match(seen.log, /cannot remove the job's keys/);
});

t.test('a listener that throws does not stop the other jobs from being followed', { skip: noRedis }, async (t) => {
  const [ours, theirs] = [await startRedis(t), await startRedis(t)];
  const [a, b] = [connection(t, ours.url), connection(t, theirs.url)];
  await Promise.all([put(a, 'plain', 1), put(b, 'own', 1), put(b, 'bad', 1)]);
  let thrown = 0;
  const fails = (): never => {
    thrown++;
    throw new Error('a listener fails');
  };
  let calls = 0;
  const jobs = [job('bad', true), job('own', true), job('plain', false)];
  let log = '';
  const pool = new MirrorPool({
    defaultRedis: { url: ours.url, ca: null },
    log: createLog('debug', { write: (line) => void (log += line) }),
    jobs: () => (++calls % 3 === 0 ? fails() : jobs),
    addressOf: async ({ metadata }) => (metadata.uid === 'bad' ? fails() : { url: theirs.url, ca: null }),
    changed: fails,
    connected: fails,
    memory: fails,
    leads: () => true,
    registry: null,
    now: () => Date.parse('2026-01-01T00:02:00Z'),
    settleMs: 20,
    sweepAgainMs: 20,
  });
  t.teardown(() => pool.close());
  const tell = async (round: number) => {
    await Promise.all([put(a, 'plain', round), put(b, 'own', round)]);
    await Promise.all([a.publish('fedbiot:progress', 'lab/plain'), b.publish('fedbiot:progress', 'lab/own')]);
  };
  let round = 1;
  await until('both are heard', SECONDS, async () => {
    await tell(++round);
    return holds((pool.progressOf('plain')?.round ?? 0) > 1 && (pool.progressOf('own')?.round ?? 0) > 1 && thrown > 10);
  });
  await pool.forget(job('own', true), true);
  t.ok(thrown > 10, `${thrown} times`);
  t.match(log, /background work failed/);
});

t.test(
  'of the Redis that one namespace names, a hundred are followed, and other namespaces are not affected',
  { skip: noRedis },
  async (t) => {
    const server = await startRedis(t);
    const redis = connection(t, server.url);
    await Promise.all([put(redis, 'crowd-0', 1), put(redis, 'elsewhere', 1)]);
    const crowd = Array.from({ length: 130 }, (_, index) => job(`crowd-${index}`, true));
    const made = job('elsewhere', true);
    const elsewhere = { ...made, metadata: { ...made.metadata, namespace: 'elsewhere' } };
    const jobs = [...crowd, elsewhere];
    const { pool, addresses, seen } = poolOf(t, null, jobs);
    // Each database is another address. Redis refuses databases that it does not have.
    jobs.forEach(({ metadata }, index) =>
      addresses.set(metadata.uid, { url: `${server.url}/${index === crowd.length ? 0 : index}`, ca: null }),
    );
    await until('both are heard', SECONDS, () =>
      holds(pool.progressOf('elsewhere')?.round === 1 && pool.progressOf('crowd-0')?.round === 1),
    );
    await until('it is told', SECONDS, () => holds(/the limit of 100 Redis for jobs of this namespace/.test(seen.log)));
    t.ok((await connectionsTo(redis)) <= 2 * 100 + 3, 'two each, and those of the test');
    const gone = jobs.splice(50, 1);
    for (const each of gone) await pool.forget(each, false);
    await until('one that is free is taken', SECONDS, () =>
      holds((seen.log.match(/the limit of 100 Redis for jobs/g) ?? []).length >= 30),
    );
  },
);

t.test('many jobs deleted at once cost one pass over the keys, and a second later', { skip: noRedis }, async (t) => {
  const server = await startRedis(t);
  const redis = connection(t, server.url);
  const count = 200;
  const jobs = Array.from({ length: count }, (_, index) => job(`many-${index}`, false));
  for (const { metadata } of jobs) await put(redis, metadata.uid, 1);
  await put(redis, 'stays', 1);
  const { pool, seen } = poolOf(t, server.url, jobs, 2_000);
  await until('connected', SECONDS, () => holds(seen.connected));
  const scans = async () => Number(/cmdstat_scan:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1] ?? 0);
  await Promise.all(jobs.splice(0).map((each) => pool.forget(each, true)));
  t.strictSame(await redis.keys('*'), [jobKeys('stays').progress]);
  await put(redis, 'many-7', 2);
  await until('what a pod wrote afterwards is gone', SECONDS, async () => holds((await redis.dbsize()) === 1));
  const passes = await scans();
  t.ok(passes <= 4, `${passes} SCAN for ${count} jobs, twice`);
});

t.test('jobs deleted while no operator ran: their keys go at the start', { skip: noRedis }, async (t) => {
  const server = await startRedis(t);
  const redis = connection(t, server.url);
  const registry = jobRegistry('the key of an installation', null);
  const [kept, gone] = [job('kept', false), job('gone', false)];
  const before = poolOf(t, server.url, [kept, gone], 20, registry);
  await until('both are remembered', SECONDS, async () => holds((await redis.scard(registry)) === 2));
  before.pool.close();
  for (const uid of ['kept', 'gone', 'of-another-installation']) await put(redis, uid, 1);
  const { seen } = poolOf(t, server.url, [kept], 20, registry);
  await until('it is forgotten', SECONDS, async () => holds((await redis.scard(registry)) === 1));
  t.strictSame(
    (await redis.keys('*')).sort(),
    [registry, jobKeys('kept').progress, jobKeys('of-another-installation').progress].sort(),
  );
  t.ok((await redis.ttl(registry)) > 0);
  t.match(seen.log, /removed keys of jobs that no longer exist/);
  t.notSame(jobRegistry('the key of an installation', ['lab']), registry, 'it does not know the jobs elsewhere');
});
