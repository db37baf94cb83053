// A Redis that speaks TLS alone, with a certificate of an authority that only spec.redis.tls.caSecret names.
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import t from 'tap';
import { createLog } from '../../operator/log.ts';
import { MirrorPool } from '../../operator/progress/mirror-pool.ts';
import { jobKeys } from '../../worker/cluster/redis-keys.ts';
import { checkRedis, openRedis } from '../../worker/transport/redis/connect.ts';
import { jobObject, UID } from '../support/planned-job.ts';
import { JobPods, runWholeJob } from '../support/pods.ts';
import { freePort, noRedis, startRedis } from '../support/redis.ts';
import { noRedisCli, startRedisCluster } from '../support/redis-cluster.ts';
import { toldProgress } from '../support/told-progress.ts';
import { until } from '../support/until.ts';

const noOpenssl = spawnSync('openssl', ['version']).status === 0 ? false : 'SKIPPED: no openssl on the PATH, to make certificates with';

/** An authority, and the certificate that it gave to 127.0.0.1. */
function certificates(folder: string) {
  const at = (name: string) => join(folder, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  openssl('req', '-x509', ...key, '-keyout', at('ca.key'), '-out', at('ca.crt'), '-subj', '/CN=authority', '-addext', 'basicConstraints=critical,CA:TRUE');
  const subject = ['-subj', '/CN=redis', '-addext', 'subjectAltName=IP:127.0.0.1', '-CA', at('ca.crt'), '-CAkey', at('ca.key')];
  openssl('req', '-x509', ...key, '-keyout', at('redis.key'), '-out', at('redis.crt'), ...subject);
  return { ca: at('ca.crt'), certificate: at('redis.crt'), key: at('redis.key') };
}

t.test('Redis over TLS', { skip: noRedis || noOpenssl, timeout: 300_000 }, async (t) => {
  const root = t.testdir({ tls: {} });
  const { ca, certificate, key } = certificates(join(root, 'tls'));
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

  t.test('its certificate is judged by the authority that is given, or by none that knows it', async (t) => {
    t.strictSame(await checkRedis({ url, caFile: ca }), { isCluster: false, warnings: [] });
    await t.rejects(checkRedis({ url }), { name: 'RedisUnusable', message: /no trusted TLS connection/ });
    await t.rejects(checkRedis({ url: plain.url.replace('redis:', 'rediss:'), caFile: ca }), { name: 'RedisUnusable' });
    await t.rejects(checkRedis({ url, caFile: join(root, 'nowhere') }), { name: 'RedisUnusable', message: /cannot read the certificate authority/ });
  });

  t.test('roles meet through it', async (t) => {
    const expected = await runWholeJob(t.testdir());
    const pods = await JobPods.create(t, url);
    const variables = { FEDBIOT_REDIS_CA_FILE: ca };
    const running = await Promise.all([pods.start('server', { variables }), pods.start('client', { variables })]);
    for (const pod of running) t.match(await pod.ended, { code: 0 });
    t.equal(pods.adapterSha256(), expected);
  });

  t.test('the nodes of a Redis Cluster are judged by the same authority', { skip: noRedisCli }, async (t) => {
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
    // Of one of these, the node of the URL does not have the key.
    for (const uid of ['a', 'b', 'c']) t.equal(await redis.set(jobKeys(uid).bundle, uid), 'OK');
  });

  t.test('the operator hears of progress through it', async (t) => {
    const redis = new Redis(url, { tls: { ca: readFileSync(ca) } });
    t.teardown(() => redis.disconnect());
    await redis.set(jobKeys(UID).progress, JSON.stringify(toldProgress()));
    let isConnected = false;
    const pool = new MirrorPool({
      defaultRedis: { url, ca: readFileSync(ca, 'utf8') },
      log: createLog('error'),
      jobs: () => [jobObject()],
      addressOf: async () => null,
      changed: () => {},
      connected: (now) => void (isConnected = now),
      memory: () => {},
      now: Date.now,
    });
    t.teardown(() => pool.close());
    t.match(await until('the mirror has it', 30, () => pool.progressOf(UID)), toldProgress());
    t.ok(isConnected);
  });
});
