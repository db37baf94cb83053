// The users that the operator creates for jobs in its Redis: when they are created, and how long they exist.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { redisUser } from '../../operator/plan/redis-access.ts';
import { aclRules } from '../../operator/redis-users/rules.ts';
import { jobKeys } from '../../worker/cluster/redis-keys.ts';
import { addReplica, noRedisCli, startRedisCluster } from '../support/redis-cluster.ts';
import { noRedis, startRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { ADMIN, OURS, THEIRS, PASSWORDS, answerOf, failFastClient, urlOf, usersOf } from '../support/redis-users.ts';

t.setTimeout(300_000);

t.test('users are created and removed with a job, and outlast Redis', { skip: noRedis }, async (t) => {
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
      t.equal(await answerOf(failFastClient(t, own).ping()), 'PONG');
      await redis.restart();
      // A connection that is opened while Redis starts may be closed.
      const pong = async () => ((await answerOf(failFastClient(t, own).ping())) === 'PONG' ? true : null);
      if (redis === kept) await until('the user is there when Redis starts', 20, pong);
      await until('the operator has seen it', 20, () => (seen.changed === 2 ? true : null));
      await users.grant(OURS, PASSWORDS);
      t.equal(await answerOf(failFastClient(t, own).ping()), 'PONG', 'it is there as soon as the job was looked at');
      await users.grant(OURS, { ...PASSWORDS, server: 'another' });
      t.match(await answerOf(failFastClient(t, own).ping()), /WRONGPASS/, 'one password at a time');
      const left = failFastClient(t, urlOf(redis.url, OURS, 'client'));
      await left.ping();
      await users.revoke({ metadata: { namespace: 'team', name: 'tune', uid: OURS } });
      t.match(await answerOf(left.ping()), /closed|ECONNRESET|Stream/, 'whoever is connected is cut off');
      t.match(await answerOf(failFastClient(t, urlOf(redis.url, OURS, 'client')).ping()), /WRONGPASS/);
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
  'users of a job that was deleted while no operator ran are removed when its keys are gone',
  { skip: noRedis },
  async (t) => {
    const { url } = await startRedis(t, { password: ADMIN });
    const admin = failFastClient(t, url);
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

t.test('a Redis that does not let the operator create users, until it does', { skip: noRedis }, async (t) => {
  const { url } = await startRedis(t, { password: ADMIN });
  const admin = failFastClient(t, url);
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

t.test('a Redis without a password is reported', { skip: noRedis }, async (t) => {
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
    for (const { url } of nodes) t.equal(await answerOf(failFastClient(t, urlOf(url, OURS, 'client')).ping()), 'PONG');
    const replica = await addReplica(t, password, first.url);
    await until('the replica has them', 60, async () => {
      await users.grant(OURS, PASSWORDS);
      return (await answerOf(failFastClient(t, urlOf(replica.url, OURS, 'client')).ping())) === 'PONG' ? true : null;
    });
    await users.revoke({ metadata: { namespace: 'team', name: 'tune', uid: OURS } });
    for (const { url } of nodes)
      t.match(await answerOf(failFastClient(t, urlOf(url, OURS, 'client')).ping()), /WRONGPASS/);
    // A replica that does not answer just then is asked again.
    const answer = () => answerOf(failFastClient(t, urlOf(replica.url, OURS, 'client')).ping());
    const refused = await until('the replica has them no longer', 60, async () =>
      /WRONGPASS/.test(await answer()) ? true : null,
    );
    t.ok(refused, 'nor has the replica');
  },
);
