// The connections to every node of the operator's Redis: a request reaches all nodes or is rejected, so that no job is
// left without users on a node.
import t from 'tap';
import type { Test } from 'tap';
import { createLog } from '../../operator/process/log.ts';
import { AllNodes } from '../../operator/redis-users/all-nodes.ts';
import { RedisUsers } from '../../operator/redis-users/redis-users.ts';
import { connection, noRedis, startRedis } from '../support/redis.ts';
import { noRedisCli, startRedisCluster } from '../support/redis-cluster.ts';
import { ADMIN, OURS, PASSWORDS, answerOf, failFastClient, urlOf } from '../support/redis-users.ts';
import { until } from '../support/until.ts';

const REQUESTS = 20;

t.test('requests to a Redis Cluster', { skip: noRedis || noRedisCli, timeout: 120_000 }, async (t) => {
  const nodes = await startRedisCluster(t, ADMIN, () => ({}));
  const ports = nodes.map(({ url }) => new URL(url).port).sort();

  const connectedTo = async (t: Pick<Test, 'teardown'>, url: string) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const all = new AllNodes(url, null, {
      ready: resolve,
      failed: () => undefined,
      closed: () => undefined,
      joined: () => undefined,
    });
    t.teardown(() => all.close());
    all.connect();
    await promise;
    await all.discover();
    return all;
  };
  const reached = async (all: AllNodes) =>
    (await all.ask((node) => node.ping().then(() => String(node.options.port)))).sort();

  // CLUSTER SLOTS names the nodes by address, so that a host name is another node for the client.
  for (const host of ['127.0.0.1', 'localhost']) {
    await t.test(`all nodes are asked at once after connecting to ${host}`, async (t) => {
      const url = new URL(nodes[0]?.url ?? '');
      url.hostname = host;
      const all = await connectedTo(t, url.href);
      for (let i = 0; i < REQUESTS; i++) t.strictSame(await reached(all), ports);
    });
  }

  await t.test('a node whose connection was lost is asked again, or the request is rejected', async (t) => {
    const all = await connectedTo(t, nodes[0]?.url ?? '');
    await reached(all);
    await connection(t, nodes[1]?.url ?? '').call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await until('a request is answered', 20, async () => {
      const first = await reached(all).catch(() => null);
      if (first !== null) t.strictSame(first, ports);
      return first;
    });
    for (let i = 0; i < REQUESTS; i++) t.strictSame(await reached(all), ports);
  });
});

t.test('users that are created while abandoned ones are removed are kept', { skip: noRedis }, async (t) => {
  const { url } = await startRedis(t, { password: ADMIN });
  const granted = Promise.withResolvers<void>();
  let log = '';
  const users = new RedisUsers({
    url,
    ca: null,
    log: createLog('info', { write: (line) => void (log += line) }),
    // The removal follows at once.
    changed: () => granted.resolve(users.grant(OURS, PASSWORDS)),
    lookMs: 100,
  });
  t.teardown(() => users.close());
  await users.start();
  await granted.promise;
  t.equal(await answerOf(failFastClient(t, urlOf(url, OURS, 'client')).ping()), 'PONG');
  t.notMatch(log, /no longer exists/);
});
