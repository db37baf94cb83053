import { spawnSync } from 'node:child_process';
import type { Test } from 'tap';
import { freePort, startRedis } from './redis.ts';
import type { RedisOptions, TestRedis } from './redis.ts';

/** Why no Redis Cluster can be made; false when one can. */
export const noRedisCli: string | false =
  spawnSync('redis-cli', ['--version']).status === 0 ? false : 'SKIPPED: no redis-cli on the PATH, which makes a cluster of nodes; install the package redis-tools';

/** A Redis that awaits others to form a cluster with. */
export async function startNode(t: Pick<Test, 'teardown'>, options: RedisOptions = {}): Promise<TestRedis> {
  const own = { 'cluster-enabled': 'yes', 'cluster-port': String(await freePort()), 'cluster-node-timeout': '2000' };
  return startRedis(t, { ...options, config: { ...own, ...options.config } });
}

/** Three masters that share the keys; a job's are all with one of them. */
export async function startRedisCluster(t: Pick<Test, 'teardown'>, options: RedisOptions & { readonly password: string }): Promise<TestRedis[]> {
  const nodes = [await startNode(t, options), await startNode(t, options), await startNode(t, options)];
  const addresses = nodes.map(({ url }) => new URL(url).host);
  const command = ['--cluster', 'create', ...addresses, '--cluster-replicas', '0', '--cluster-yes'];
  const { status, stdout, stderr } = spawnSync('redis-cli', command, { encoding: 'utf8', env: { ...process.env, REDISCLI_AUTH: options.password } });
  if (status !== 0) throw new Error(`redis-cli cannot make a cluster:\n${stdout}${stderr}`);
  return nodes;
}
