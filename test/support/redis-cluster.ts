import { spawnSync } from 'node:child_process';
import { Redis } from 'ioredis';
import type { Test } from 'tap';
import { freePort, startRedis } from './redis.ts';
import type { RedisOptions, TestRedis } from './redis.ts';
import { until } from './until.ts';

/** The reason why no Redis Cluster can be created; false if one can. */
export const noRedisCli: string | false =
  spawnSync('redis-cli', ['--version']).status === 0
    ? false
    : 'SKIPPED: no redis-cli on the PATH, which makes a cluster of nodes; install the package redis-tools';

/** A Redis that can become a node of a cluster. */
export async function startNode(t: Pick<Test, 'teardown'>, options: RedisOptions = {}): Promise<TestRedis> {
  const own = { 'cluster-enabled': 'yes', 'cluster-port': String(await freePort()), 'cluster-node-timeout': '2000' };
  return startRedis(t, { ...options, config: { ...own, ...options.config } });
}

/** Three masters that share the keys. All keys of a job are on one of them. */
export async function startRedisCluster(
  t: Pick<Test, 'teardown'>,
  password: string,
  optionsOf: () => RedisOptions | Promise<RedisOptions>,
): Promise<TestRedis[]> {
  const nodes: TestRedis[] = [];
  while (nodes.length < 3) nodes.push(await startNode(t, { ...(await optionsOf()), password }));
  const addresses = nodes.map(({ url }) => new URL(url).host);
  redisCli(password, 'create', ...addresses, '--cluster-replicas', '0', '--cluster-yes');
  // redis-cli returns before every node knows that the cluster is complete.
  await Promise.all(
    nodes.map(({ url }) =>
      until(`the cluster is complete for ${new URL(url).host}`, 30, async () => (await isComplete(url)) || null),
    ),
  );
  return nodes;
}

/** A replica of one of the masters, which replaces it when it fails. */
export async function addReplica(t: Pick<Test, 'teardown'>, password: string, master: string): Promise<TestRedis> {
  const replica = await startNode(t, { password, config: { masterauth: password } });
  const redis = new Redis(master);
  const id = await redis.cluster('MYID');
  redis.disconnect();
  redisCli(
    password,
    'add-node',
    new URL(replica.url).host,
    new URL(master).host,
    '--cluster-slave',
    '--cluster-master-id',
    id,
  );
  return replica;
}

function redisCli(password: string, ...command: readonly string[]): void {
  const { status, stdout, stderr } = spawnSync('redis-cli', ['--cluster', ...command], {
    encoding: 'utf8',
    env: { ...process.env, REDISCLI_AUTH: password },
  });
  if (status !== 0) throw new Error(`redis-cli --cluster ${command[0]}:\n${stdout}${stderr}`);
}

/** Whether all slots have a node, according to this node. */
export async function isComplete(url: string): Promise<boolean> {
  const redis = new Redis(url);
  try {
    return /^cluster_state:ok\r$/m.test(await redis.cluster('INFO'));
  } finally {
    redis.disconnect();
  }
}
