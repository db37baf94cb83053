// The users that the operator makes for jobs in its Redis: what they may, and how long they last.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import t from 'tap';
import type { Test } from 'tap';
import { createLog } from '../../operator/process/log.ts';
import { redisUser } from '../../operator/plan/redis-access.ts';
import { RedisUsers } from '../../operator/redis-users/redis-users.ts';
import { aclRules } from '../../operator/redis-users/rules.ts';
import { jobKeys, PROGRESS_CHANNEL } from '../../worker/cluster/redis-keys.ts';
import { JobPods, runWholeJob } from '../support/pods.ts';
import { addReplica, noRedisCli, startRedisCluster } from '../support/redis-cluster.ts';
import { noRedis, startRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';

t.setTimeout(300_000);

const ADMIN = 'password-of-the-operator';
const PASSWORDS = { server: 'password of the server pods', client: 'password of the client pods' };
const [OURS, THEIRS] = ['8a7d6f0e-0000-4000-8000-000000000001', '8a7d6f0e-0000-4000-8000-000000000002'];

function connection(t: Test, url: string): Redis {
  const redis = new Redis(url, { retryStrategy: () => null, maxRetriesPerRequest: 0 });
  redis.on('error', () => undefined);
  t.teardown(() => redis.disconnect());
  return redis;
}

function urlOf(url: string, uid: string, role: 'server' | 'client', password = PASSWORDS[role]): string {
  const own = new URL(url);
  own.username = redisUser(uid, role);
  own.password = encodeURIComponent(password);
  return own.href;
}

function usersOf(t: Test, url: string, lookMs = 100) {
  const seen = { changed: 0, log: '' };
  const users = new RedisUsers({
    url,
    ca: null,
    log: createLog('info', { write: (line) => void (seen.log += line) }),
    changed: () => void seen.changed++,
    lookMs,
  });
  users.start().catch((error: unknown) => t.error(error));
  t.teardown(() => users.close());
  const ready = () => until('users can be made', 20, () => (users.standing().kind === 'ready' ? true : null));
  return { users, seen, ready };
}

const answerOf = (asked: Promise<unknown>): Promise<string> =>
  asked.then(String, (error: unknown) => (error instanceof Error ? error.message : String(error)));

t.test(
  'a job whose roles have users of their own makes the same bytes, and its users are refused nothing that they ask for',
  { skip: noRedis, timeout: 600_000 },
  async (t) => {
    const expected = await runWholeJob(t.testdir());
    const { url } = await startRedis(t, { password: ADMIN });
    const job = await JobPods.create(t, url);
    const { users, ready } = usersOf(t, url);
    await ready();
    await users.grant(job.uid, PASSWORDS);
    const as = (role: 'server' | 'client') => ({ variables: { FEDBIOT_REDIS_URL: urlOf(url, job.uid, role) } });
    const server = await job.start('server', as('server'));
    const [leaving, staying] = await Promise.all([
      job.start('client', as('client')),
      job.start('client', as('client')),
    ]);
    await leaving.says(/training for a client/, { round: 2 });
    leaving.kill('SIGTERM');
    for (const pod of [server, staying]) {
      const { code, output } = await pod.ended;
      t.equal(code, 0, code === 0 ? 'succeeded' : output);
    }
    t.equal(job.adapterSha256(), expected);
    t.strictSame(await connection(t, url).call('ACL', 'LOG'), [], 'nothing was refused');
  },
);

t.test(
  'Redis forgets the users in a round: pods wait until they are made again, and the bytes are the same',
  { skip: noRedis, timeout: 600_000 },
  async (t) => {
    const expected = await runWholeJob(t.testdir());
    const redis = await startRedis(t, { password: ADMIN, aof: true });
    const job = await JobPods.create(t, redis.url);
    const { users, seen, ready } = usersOf(t, redis.url);
    await ready();
    await users.grant(job.uid, PASSWORDS);
    const as = (role: 'server' | 'client') => ({ variables: { FEDBIOT_REDIS_URL: urlOf(redis.url, job.uid, role) } });
    const pods = await Promise.all([
      job.start('server', as('server')),
      job.start('client', as('client')),
      job.start('client', as('client')),
    ]);
    await pods[0].says(/has reported/, { round: 2 });
    await redis.restart();
    await until('the operator has seen it', 20, () => (seen.changed === 2 ? true : null));
    t.match(await answerOf(connection(t, urlOf(redis.url, job.uid, 'server')).ping()), /WRONGPASS/, 'they are unknown');
    await Promise.all(pods.map((pod) => pod.says(/refuses the user or password.*; trying again/)));
    await users.grant(job.uid, PASSWORDS);
    for (const pod of pods) {
      const { code, output } = await pod.ended;
      t.equal(code, 0, code === 0 ? 'succeeded' : output);
    }
    t.equal(job.adapterSha256(), expected);
  },
);

t.test('what a client pod cannot do with its user', { skip: noRedis }, async (t) => {
  const { url } = await startRedis(t, { password: ADMIN });
  const { users, ready } = usersOf(t, url);
  await ready();
  for (const uid of [OURS, THEIRS]) await users.grant(uid, PASSWORDS);
  const admin = connection(t, url);
  const [ours, theirs] = [jobKeys(OURS), jobKeys(THEIRS)];
  for (const keys of [ours, theirs]) {
    for (const key of [
      keys.progress,
      keys.report,
      keys.fence,
      keys.bundle,
      `${keys.tensors}:round-1-1`,
      `${keys.tensors}:round-1-1:0`,
      `${keys.ended}:1-1`,
    ])
      await admin.set(key, '1');
  }
  const refused = async (title: string, redis: Redis, commands: readonly (readonly [string, ...string[]])[]) => {
    for (const [name, ...args] of commands)
      t.match(await answerOf(redis.call(name, ...args)), /NOPERM/, `${title}: ${name} ${args.join(' ')}`);
  };
  const client = connection(t, urlOf(url, OURS, 'client'));
  const server = connection(t, urlOf(url, OURS, 'server'));
  const administration = [
    ['CONFIG', 'GET', '*'],
    ['CONFIG', 'SET', 'maxmemory', '1'],
    ['ACL', 'SETUSER', redisUser(OURS, 'client'), '~*'],
    ['ACL', 'LIST'],
    ['FLUSHALL'],
    ['FLUSHDB'],
    ['SWAPDB', '0', '1'],
    ['SHUTDOWN', 'NOSAVE'],
    ['REPLICAOF', '127.0.0.1', '1'],
    ['MONITOR'],
    ['CLIENT', 'LIST'],
    ['CLIENT', 'KILL', 'TYPE', 'normal'],
    ['CLIENT', 'TRACKING', 'ON', 'BCAST'],
    ['KEYS', '*'],
    ['SCAN', '0'],
    ['RANDOMKEY'],
    ['SCRIPT', 'FLUSH'],
    ['SCRIPT', 'KILL'],
    ['FUNCTION', 'FLUSH'],
    ['SLOWLOG', 'GET'],
    ['SUBSCRIBE', PROGRESS_CHANNEL],
    ['PUBSUB', 'CHANNELS'],
  ] as const;
  await refused('a client', client, administration);
  await refused('a server', server, administration);
  const foreign = [
    ['GET', theirs.progress],
    ['GET', `${theirs.tensors}:round-1-1:0`],
    ['SET', theirs.progress, '{}'],
    ['UNLINK', theirs.fence],
    ['SET', theirs.finished, '1'],
    ['LPUSH', `${theirs.prefix}:tasks:wait`, 'x'],
    ['EVAL', "return redis.call('GET', KEYS[1])", '1', theirs.progress],
    ['COPY', `${theirs.tensors}:round-1-1`, `${ours.tensors}:result-1`],
  ] as const;
  await refused("a client, another job's keys", client, foreign);
  await refused("a server, another job's keys", server, foreign);
  t.match(
    await answerOf(client.call('EVAL', `return redis.call('GET', '${theirs.progress}')`, '0')),
    /can't access at least one of the keys|NOPERM/,
    'nor by a script that names no key',
  );
  await refused("a client, its server's keys", client, [
    ['SET', ours.progress, '{}'],
    ['GET', ours.progress],
    ['SET', ours.report, '{}'],
    ['SET', ours.fence, '9'],
    ['UNLINK', ours.fence],
    ['SET', ours.finished, '1'],
    ['SET', ours.bundle, '{}'],
    ['SET', `${ours.ended}:1-1`, '1'],
    ['UNLINK', `${ours.ended}:1-1`],
    ['SET', `${ours.tensors}:round-1-1:0`, 'poison'],
    ['UNLINK', `${ours.tensors}:round-1-1`],
    ['EVAL', "return redis.call('SET', KEYS[1], 'poison')", '1', `${ours.tensors}:round-1-1:0`],
    ['RENAME', `${ours.tensors}:round-1-1:0`, `${ours.tensors}:result-1`],
    ['PUBLISH', PROGRESS_CHANNEL, 'team/tune'],
  ]);
  t.equal(await client.get(`${ours.tensors}:round-1-1:0`), '1', 'it reads the package');
  t.equal(await client.exists(`${ours.ended}:1-1`), 1, 'and whether the round has ended');
});

t.test('users come with a job and go with it, and outlast Redis', { skip: noRedis }, async (t) => {
  const folder = t.testdir({ 'users.acl': `user default on >${ADMIN} ~* &* +@all\n` });
  const kept = await startRedis(t, { password: ADMIN, config: { aclfile: join(folder, 'users.acl') } });
  const forgetful = await startRedis(t, { password: ADMIN });
  for (const [title, redis] of [
    ['with a file for them', kept],
    ['without', forgetful],
  ] as const) {
    await t.test(title, async (t) => {
      const { users, seen, ready } = usersOf(t, redis.url);
      await t.rejects(users.grant(OURS, PASSWORDS), /not contacted yet|lost|ECONN/, 'not before Redis answers');
      await ready();
      t.equal(seen.changed, 1);
      await users.grant(OURS, PASSWORDS);
      const own = urlOf(redis.url, OURS, 'server');
      t.equal(await answerOf(connection(t, own).ping()), 'PONG');
      await redis.restart();
      // A connection that is made while Redis starts may be closed.
      const pong = async () => ((await answerOf(connection(t, own).ping())) === 'PONG' ? true : null);
      if (redis === kept) await until('the user is there when Redis starts', 20, pong);
      await until('the operator has seen it', 20, () => (seen.changed === 2 ? true : null));
      await users.grant(OURS, PASSWORDS);
      t.equal(await answerOf(connection(t, own).ping()), 'PONG', 'it is there as soon as the job was looked at');
      await users.grant(OURS, { ...PASSWORDS, server: 'another' });
      t.match(await answerOf(connection(t, own).ping()), /WRONGPASS/, 'one password at a time');
      const left = connection(t, urlOf(redis.url, OURS, 'client'));
      await left.ping();
      await users.revoke({ metadata: { namespace: 'team', name: 'tune', uid: OURS } });
      t.match(await answerOf(left.ping()), /closed|ECONNRESET|Stream/, 'whoever is connected is cut off');
      t.match(await answerOf(connection(t, urlOf(redis.url, OURS, 'client')).ping()), /WRONGPASS/);
      t.equal(
        /does not save the users/.test(seen.log),
        redis === forgetful,
        'and the log says whether Redis keeps them',
      );
      if (redis === kept) t.notMatch(readFileSync(join(folder, 'users.acl'), 'utf8'), /fedbiot-/);
    });
  }
});

t.test(
  'users of a job that went while no operator looked are removed when its keys are gone',
  { skip: noRedis },
  async (t) => {
    const { url } = await startRedis(t, { password: ADMIN });
    const admin = connection(t, url);
    for (const uid of [OURS, THEIRS])
      await admin.call(
        'ACL',
        'SETUSER',
        redisUser(uid, 'server'),
        ...aclRules(uid, 'server', createHash('sha256').update('x').digest('hex'), true),
      );
    await admin.call('ACL', 'SETUSER', 'somebody-else', 'on', '>x');
    await admin.set(jobKeys(THEIRS).users, '1');
    const { ready } = usersOf(t, url);
    await ready();
    const names = () => admin.call('ACL', 'USERS');
    await until('the user is gone', 20, async () =>
      ((await names()) as string[]).includes(redisUser(OURS, 'server')) ? null : true,
    );
    t.strictSame(
      ((await names()) as string[]).sort(),
      ['default', 'somebody-else', redisUser(THEIRS, 'server')].sort(),
      'others stay: their operator still sees to them',
    );
  },
);

t.test('a Redis that lets the operator make no users, until it does', { skip: noRedis }, async (t) => {
  const { url } = await startRedis(t, { password: ADMIN });
  const admin = connection(t, url);
  await admin.call(
    'ACL',
    'SETUSER',
    'operator',
    'reset',
    'on',
    '>secret',
    '~fedbiot:*',
    '&*',
    '+@all',
    '-@admin',
    '-@dangerous',
    '+info',
  );
  const own = new URL(url);
  [own.username, own.password] = ['operator', 'secret'];
  const { users, seen, ready } = usersOf(t, own.href);
  await until('it is known', 20, () => (users.standing().kind === 'refused' ? true : null));
  t.match(users.standing(), { kind: 'refused', reason: /acl\|setuser/ });
  t.match(seen.log, /jobs cannot be isolated/);
  t.notMatch(seen.log, 'secret');
  await t.rejects(users.grant(OURS, PASSWORDS), /acl\|setuser/);
  await admin.call('ACL', 'SETUSER', 'operator', '+acl');
  await ready();
  await users.grant(OURS, PASSWORDS);
  await admin.call('ACL', 'SETUSER', 'operator', '-acl');
  await t.rejects(users.grant(OURS, { ...PASSWORDS, server: 'another' }), /NOPERM/);
  t.match(users.standing(), { kind: 'refused' });
});

t.test('a Redis that asks nobody for a password is told', { skip: noRedis }, async (t) => {
  const { url } = await startRedis(t);
  const { users, seen, ready } = usersOf(t, url);
  await ready();
  t.match(users.standing(), { isOpen: true });
  t.match(seen.log, /has no password/);
});

t.test(
  'every node of a Redis Cluster has the users, one that joins later too',
  { skip: noRedis || noRedisCli, timeout: 120_000 },
  async (t) => {
    const password = ADMIN;
    const nodes = await startRedisCluster(t, password, () => ({}));
    const [first] = nodes;
    if (first === undefined) throw new Error('no node');
    const { users, ready } = usersOf(t, first.url);
    await ready();
    await users.grant(OURS, PASSWORDS);
    for (const { url } of nodes) t.equal(await answerOf(connection(t, urlOf(url, OURS, 'client')).ping()), 'PONG');
    const replica = await addReplica(t, password, first.url);
    await until('the replica has them', 60, async () => {
      await users.grant(OURS, PASSWORDS);
      return (await answerOf(connection(t, urlOf(replica.url, OURS, 'client')).ping())) === 'PONG' ? true : null;
    });
    await users.revoke({ metadata: { namespace: 'team', name: 'tune', uid: OURS } });
    for (const { url } of [...nodes, replica])
      t.match(await answerOf(connection(t, urlOf(url, OURS, 'client')).ping()), /WRONGPASS/);
  },
);

t.test('Redis 6.2, which knows no keys that may only be read', async (t) => {
  const rules = aclRules(OURS, 'client', 'a'.repeat(64), false);
  t.notOk(
    rules.some((rule) => rule.startsWith('%')),
    'reads and writes are one there',
  );
  t.notOk(
    rules.some((rule) => /:(progress|fence|report)$/.test(rule)),
    'what clients do not read they cannot write either',
  );
});
