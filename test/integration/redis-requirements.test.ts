// A job's requirements of its Redis are checked at the start: refusals that will persist are reported then.
import { randomUUID } from 'node:crypto';
import t from 'tap';
import { jobKeys } from '../../worker/cluster/redis-keys.ts';
import { checkRedis } from '../../worker/transport/redis/connect.ts';
import { connection, noRedis, startRedis } from '../support/redis.ts';
import { endsOf, refuses } from '../support/data-plane.ts';

t.test('a job’s requirements are checked at the start', { skip: noRedis }, async (t) => {
  const { url } = await startRedis(t);
  const admin = connection(t, url);
  const uid = randomUUID();
  const keys = jobKeys(uid);
  const needs = (role: 'server' | 'client') => ({ keys, role, job: 'lab/tiny' });
  /** A user with the permissions `rules`. */
  const as = async (...rules: string[]) => {
    await admin.call('ACL', 'SETUSER', 'worker', 'reset', 'on', '>secret', ...rules);
    return { url: url.replace('redis://', 'redis://worker:secret@') };
  };
  const ofJob = [`~fedbiot:{${uid}}:*`, '&fedbiot:progress', '+@all', '-@admin', '-@dangerous', '+info'];

  t.test('a user with exactly the permissions that a job needs can run it', async (t) => {
    const address = await as(...ofJob);
    for (const role of ['server', 'client'] as const)
      t.match(await checkRedis(address, needs(role)), { isCluster: false });
    t.strictSame(await admin.keys('*'), [], 'nothing is left of the trial');
    const { round, expected } = await endsOf(t, address.url, uid);
    t.strictSame(await round(0), expected(0));
  });

  t.test('a user without them gets an error that names what to allow', async (t) => {
    const lacking: Readonly<Record<string, readonly string[]>> = {
      'no channels, as Redis 7 makes users': ['~fedbiot:*', 'resetchannels', '+@all'],
      'reads only': ['~*', '&*', '+@read', '+@connection', '+info'],
      'no scripts': [...ofJob, '-@scripting'],
      'no streams, which scripts write': [...ofJob, '-@stream'],
      'keys of another job': ['~fedbiot:{other}:*', '&fedbiot:progress', '+@all'],
      'no INFO': [...ofJob, '-info'],
    };
    for (const [what, rules] of Object.entries(lacking)) {
      await refuses(
        t,
        checkRedis(await as(...rules), needs('server')),
        'stays',
        /denies this user a permission that a job needs/,
        what,
      );
    }
    t.match(
      await checkRedis(await as('~fedbiot:*', 'resetchannels', '+@all'), needs('client')),
      { isCluster: false },
      'a client tells nothing',
    );
  });

  t.test('a replica is refused with a message, as one that may become a master', async (t) => {
    const replica = await startRedis(t);
    await connection(t, replica.url).replicaof('127.0.0.1', new URL(url).port);
    await refuses(t, checkRedis(replica, needs('client')), 'passes', /is a replica, which accepts no writes/);
  });
});
