import { spawn, spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import type { Test } from 'tap';

export interface TestRedis {
  readonly url: string;
  /** Kills Redis. */
  kill(): Promise<void>;
  /** Kills Redis if it runs, and starts it with the same port and files. */
  restart(): Promise<void>;
}

export interface RedisOptions {
  readonly password?: string;
  /** Persist every write, as the Redis of a cluster must. */
  readonly aof?: boolean;
  /** Further options: name and value. */
  readonly config?: Readonly<Record<string, string>>;
}

/** The reason why Redis cannot be started; false if it can. */
export const noRedis: string | false =
  spawnSync('redis-server', ['--version']).status === 0
    ? false
    : 'SKIPPED: no redis-server on the PATH; install the package redis-server';

/** A Redis for one test, on a free port, with its files in a temporary folder. Both are removed after the test. */
export async function startRedis(
  t: Pick<Test, 'teardown'>,
  { password, aof = false, config = {} }: RedisOptions = {},
): Promise<TestRedis> {
  const dir = mkdtempSync(join(tmpdir(), 'fedbiot-redis-'));
  const port = await freePort();
  const url = `redis://${password === undefined ? '' : `:${encodeURIComponent(password)}@`}127.0.0.1:${port}`;
  const settings: Record<string, string> = {
    port: String(port),
    bind: '127.0.0.1',
    dir,
    save: '',
    appendonly: aof ? 'yes' : 'no',
    appendfsync: 'always',
    ...(password !== undefined && { requirepass: password }),
    ...config,
  };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
  const start = async () => {
    const child = spawn('redis-server', args, { stdio: 'ignore' });
    await answers(url);
    return child;
  };
  let child = await start();
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  t.teardown(async () => {
    await kill();
    rmSync(dir, { recursive: true, force: true });
  });
  return {
    url,
    kill,
    restart: async () => {
      await kill();
      child = await start();
    },
  };
}

/** A connection that lasts as long as the test, even while Redis is down. */
export function connection(
  t: Pick<Test, 'teardown'>,
  url: string,
  options: { maxRetriesPerRequest: number | null; retryStrategy?: () => null } = { maxRetriesPerRequest: null },
): Redis {
  const redis = new Redis(url, options);
  redis.on('error', () => undefined);
  t.teardown(() => redis.disconnect());
  return redis;
}

async function answers(url: string): Promise<void> {
  const redis = new Redis(url, { maxRetriesPerRequest: null, retryStrategy: () => 50 });
  redis.on('error', () => undefined);
  // While it loads its files, it responds with LOADING.
  while ((await redis.ping().catch(() => '')) !== 'PONG') await new Promise((resolve) => setTimeout(resolve, 50));
  redis.disconnect();
}

/**
 * A port without a listener, below the range of outgoing connections, which could otherwise take it before it is used.
 * The port ten thousand above it, for the bus of a Redis Cluster, is also free.
 */
export async function freePort(): Promise<number> {
  const port = randomInt(10_000, 22_000);
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch {
    return freePort();
  }
  server.close();
  await once(server, 'close');
  return port;
}
