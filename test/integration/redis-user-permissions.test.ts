// The permissions of a job’s users in Redis.
import type { Redis } from 'ioredis';
import t from 'tap';
import { redisUser } from '../../operator/plan/redis-access.ts';
import { aclRules } from '../../operator/redis-users/rules.ts';
import { jobKeys, PROGRESS_CHANNEL } from '../../worker/cluster/redis-keys.ts';
import { noRedis, startRedis } from '../support/redis.ts';
import { ADMIN, OURS, THEIRS, PASSWORDS, answerOf, failFastClient, urlOf, usersOf } from '../support/redis-users.ts';

t.test('what a client pod cannot do with its user', { skip: noRedis }, async (t) => {
  const { url } = await startRedis(t, { password: ADMIN });
  const { users, ready } = usersOf(t, url);
  await ready();
  for (const uid of [OURS, THEIRS]) await users.grant(uid, PASSWORDS);
  const admin = failFastClient(t, url);
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
  const client = failFastClient(t, urlOf(url, OURS, 'client'));
  const server = failFastClient(t, urlOf(url, OURS, 'server'));
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

t.test('Redis 6.2, which has no read-only keys', async (t) => {
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
