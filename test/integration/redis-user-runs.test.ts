// Whole jobs whose roles have separate users in Redis.
import t from 'tap';
import { JobPods, runWholeJob } from '../support/pods.ts';
import { noRedis, startRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { ADMIN, PASSWORDS, answerOf, failFastClient, urlOf, usersOf } from '../support/redis-users.ts';

t.setTimeout(300_000);

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
    t.strictSame(await failFastClient(t, url).call('ACL', 'LOG'), [], 'nothing was refused');
  },
);

t.test(
  'Redis loses the users in a round: pods wait until they are created again, and the bytes are the same',
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
    t.match(
      await answerOf(failFastClient(t, urlOf(redis.url, job.uid, 'server')).ping()),
      /WRONGPASS/,
      'they are unknown',
    );
    await Promise.all(pods.map((pod) => pod.says(/refuses the user or password.*; trying again/)));
    await users.grant(job.uid, PASSWORDS);
    for (const pod of pods) {
      const { code, output } = await pod.ended;
      t.equal(code, 0, code === 0 ? 'succeeded' : output);
    }
    t.equal(job.adapterSha256(), expected);
  },
);
