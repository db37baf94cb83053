// A Redis that only accepts TLS, with a certificate signed by a CA that only spec.redis.tls.caSecret names.
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import t from 'tap';
import { createLog } from '../../operator/process/log.ts';
import { redisUser } from '../../operator/plan/redis-access.ts';
import { MirrorPool } from '../../operator/progress/mirror-pool.ts';
import { RedisUsers } from '../../operator/redis-users/redis-users.ts';
import { jobKeys, PROGRESS_CHANNEL } from '../../worker/cluster/redis-keys.ts';
import { checkRedis, openRedis } from '../../worker/transport/redis/connect.ts';
import { makeCertificate, noOpenssl } from '../support/certificate.ts';
import { hostileRedis, honest } from '../support/hostile-redis.ts';
import type { Answers } from '../support/hostile-redis.ts';
import { jobObject, UID } from '../support/planned-job.ts';
import { JobPods, runWholeJob } from '../support/pods.ts';
import { freePort, noRedis, startRedis } from '../support/redis.ts';
import { noRedisCli, startRedisCluster } from '../support/redis-cluster.ts';
import { sampleProgress } from '../support/sample-progress.ts';
import { until } from '../support/until.ts';

t.test('Redis over TLS', { skip: noRedis || noOpenssl, timeout: 300_000 }, async (t) => {
  const root = t.testdir({ tls: {} });
  const { ca, certificate, key } = makeCertificate(join(root, 'tls'), ['IP:127.0.0.1']);
  const tlsConfig = (port: number) => ({
    'tls-port': String(port),
    'tls-cert-file': certificate,
    'tls-key-file': key,
    'tls-ca-cert-file': ca,
    'tls-auth-clients': 'no',
  });
  const port = await freePort();
  const plain = await startRedis(t, {
    password: 'secret',
    config: tlsConfig(port),
  });
  const url = `rediss://:secret@127.0.0.1:${port}`;

  t.test('a certificate is accepted only with its CA certificate', async (t) => {
    t.strictSame(await checkRedis({ url, caFile: ca }), { isCluster: false, warnings: [] });
    await t.rejects(checkRedis({ url }), { name: 'RedisUnusable', message: /no trusted TLS connection/ });
    await t.rejects(checkRedis({ url: plain.url.replace('redis:', 'rediss:'), caFile: ca }), { name: 'RedisUnusable' });
    await t.rejects(checkRedis({ url, caFile: join(root, 'nowhere') }), {
      name: 'RedisUnusable',
      message: /cannot read the CA certificate/,
    });
  });

  t.test('roles communicate through it', async (t) => {
    const expected = await runWholeJob(t.testdir());
    const pods = await JobPods.create(t, url);
    const variables = { FEDBIOT_REDIS_CA_FILE: ca };
    const running = await Promise.all([pods.start('server', { variables }), pods.start('client', { variables })]);
    for (const pod of running) t.match(await pod.ended, { code: 0 });
    t.equal(pods.adapterSha256(), expected);
  });

  t.test('nodes of a Redis Cluster are verified with the same CA certificate', { skip: noRedisCli }, async (t) => {
    const ports: number[] = [];
    await startRedisCluster(t, 'secret', async () => {
      const port = await freePort();
      ports.push(port);
      return { config: { ...tlsConfig(port), 'tls-cluster': 'yes' } };
    });
    const address = { url: `rediss://:secret@127.0.0.1:${ports[0]}`, caFile: ca };
    const { isCluster } = await checkRedis(address);
    t.ok(isCluster);
    const redis = openRedis({ ...address, isCluster });
    t.teardown(() => redis.disconnect());
    // The node of the URL does not have the key of one of these jobs.
    for (const uid of ['a', 'b', 'c']) t.equal(await redis.set(jobKeys(uid).bundle, uid), 'OK');
  });

  t.test('the operator receives progress through it', async (t) => {
    const redis = new Redis(url, { tls: { ca: readFileSync(ca) } });
    t.teardown(() => redis.disconnect());
    await redis.set(jobKeys(UID).progress, JSON.stringify(sampleProgress()));
    let isConnected = false;
    const pool = new MirrorPool({
      defaultRedis: { url, ca: readFileSync(ca, 'utf8') },
      log: createLog('error'),
      jobs: () => [jobObject()],
      addressOf: async () => null,
      changed: () => {},
      connected: (now) => void (isConnected = now),
      memory: () => {},
      leads: () => true,
      registry: null,
      now: Date.now,
    });
    t.teardown(() => pool.close());
    t.match(await until('the mirror has it', 30, () => pool.progressOf(UID)), sampleProgress());
    t.ok(isConnected);
  });

  t.test(
    "a job's own Redis: with a Secret's authority that did not sign it nothing is sent, and with the right one it is heard, read and swept",
    async (t) => {
      const redis = new Redis(url, { tls: { ca: readFileSync(ca) } });
      t.teardown(() => redis.disconnect());
      const uid = 'brings-its-own';
      const keys = jobKeys(uid);
      await redis.set(keys.progress, JSON.stringify(sampleProgress(2)));
      const made = jobObject({ redis: { urlFrom: { name: 'redis' }, tls: { caSecret: { name: 'authority' } } } });
      const job = { ...made, metadata: { ...made.metadata, uid } };
      const other = join(root, 'other');
      mkdirSync(other);
      let authority: string | null = readFileSync(makeCertificate(other, ['IP:127.0.0.1']).ca, 'utf8');
      let said = '';
      const pool = new MirrorPool({
        defaultRedis: null,
        log: createLog('info', { write: (line) => void (said += line) }),
        jobs: () => [job],
        addressOf: async () => ({ url, ca: authority }),
        changed: () => {},
        connected: () => {},
        memory: () => {},
        leads: () => true,
        registry: null,
        now: Date.now,
        settleMs: 50,
      });
      t.teardown(() => pool.close());
      for (const wrong of [authority, null, 'no PEM at all']) {
        [authority, said] = [wrong, ''];
        await until('it is told', 30, () => (/Redis does not answer|cannot follow/.test(said) ? true : null));
        t.equal(pool.progressOf(uid), null);
        t.notMatch(said, /secret@|PRIVATE KEY/);
      }
      authority = readFileSync(ca, 'utf8');
      t.match(await until('it is heard', 30, () => pool.progressOf(uid)), { round: 2 });
      t.equal(await pool.reportOf(job), null);
      // Over a separate connection, in as many TLS records as it takes.
      await redis.set(keys.report, 'x'.repeat(3_000_000));
      await t.rejects(pool.reportOf(job), { message: /is not JSON/ });
      await redis.set(keys.progress, 'x'.repeat(300_000));
      await redis.publish(PROGRESS_CHANNEL, 'lab/tiny');
      t.match(pool.progressOf(uid), { round: 2 }, 'what is known stays');
      await pool.forget(job, true);
      t.strictSame(await redis.keys(`${keys.prefix}:*`), []);
    },
  );

  t.test('an oversized answer closes the connection, with TLS as without', async (t) => {
    const answers: Answers = (command) => (command === 'getrange' ? '$4000000000\r\n' : honest(command));
    const server = await hostileRedis(t, answers, { cert: readFileSync(certificate), key: readFileSync(key) });
    let said = '';
    const pool = new MirrorPool({
      defaultRedis: { url: `rediss://:secret@127.0.0.1:${server.port}`, ca: readFileSync(ca, 'utf8') },
      log: createLog('info', { write: (line) => void (said += line) }),
      jobs: () => [jobObject()],
      addressOf: async () => null,
      changed: () => {},
      connected: () => {},
      memory: () => {},
      leads: () => true,
      registry: null,
      now: Date.now,
    });
    t.teardown(() => pool.close());
    await until('it is told', 30, () => (/Redis sent an invalid or oversized answer/.test(said) ? true : null));
    t.equal(pool.progressOf(UID), null);
  });

  t.test('users of jobs are created through it', async (t) => {
    const users = new RedisUsers({
      url,
      ca: readFileSync(ca, 'utf8'),
      log: createLog('error'),
      changed: () => {},
      lookMs: 100,
    });
    t.teardown(() => users.close());
    await users.start();
    await until('they can be made', 30, () => (users.standing().kind === 'ready' ? true : null));
    await users.grant(UID, { server: 's'.repeat(43), client: 'c'.repeat(43) });
    const made = new Redis(url, {
      tls: { ca: readFileSync(ca) },
      username: redisUser(UID, 'client'),
      password: 'c'.repeat(43),
    });
    t.teardown(() => made.disconnect());
    t.equal(await made.exists(jobKeys(UID).bundle), 0);
  });
});
