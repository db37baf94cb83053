import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Redis } from 'ioredis';
import { UserError } from '../../errors.ts';
import { isClusterNode, mastersOf, openCluster } from './redis-cluster.ts';
import type { ConnectionOptions, RedisConnection } from './redis-cluster.ts';

export interface RedisAddress {
  /** redis:// or rediss://, with its credentials. Never printed. */
  readonly url: string;
  /** PEM file of the authority that signed Redis's certificate; without it the system's authorities count. */
  readonly caFile?: string;
  /** The URL names a node of a Redis Cluster, which `checkRedis` tells. */
  readonly isCluster?: boolean;
}

/** What a Redis that can be used is. */
export interface CheckedRedis {
  readonly isCluster: boolean;
  /** What the user should know. */
  readonly warnings: readonly string[];
}

/** Redis cannot serve as a job's data plane. */
export class RedisUnusable extends UserError {
  override readonly name = 'RedisUnusable';
}

/** It did not answer, which may pass; everything else that makes it unusable stays until somebody changes it. */
export class RedisUnreachable extends RedisUnusable {}

const CONNECT_TIMEOUT_MS = 10_000;
const MAX_RECONNECT_DELAY_MS = 2_000;

interface Settings {
  readonly maxRetriesPerRequest: null;
  readonly connectTimeout: number;
  readonly lazyConnect: boolean;
  readonly tls?: { readonly ca?: string };
}

function settingsOf({ url, caFile }: RedisAddress): Settings {
  let protocol: string;
  try {
    ({ protocol } = new URL(url));
  } catch {
    throw new RedisUnusable('the URL of Redis is not a URL', { hint: 'Give it as redis://user:password@host:port or rediss://….' });
  }
  if (protocol !== 'redis:' && protocol !== 'rediss:') {
    throw new RedisUnusable(`the URL of Redis begins with ${protocol}//`, { hint: 'It must begin with redis:// or rediss://.' });
  }
  // BullMQ wants commands to wait for Redis rather than fail; what was sent and not answered is sent again.
  const settings: Settings = { maxRetriesPerRequest: null, connectTimeout: CONNECT_TIMEOUT_MS, lazyConnect: true };
  if (protocol === 'redis:') return settings;
  return { ...settings, tls: caFile === undefined ? {} : { ca: readAuthority(caFile) } };
}

function readAuthority(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new RedisUnusable(`cannot read the certificate authority of Redis, ${path}`, { hint: 'Check spec.redis.tls.caSecret.', cause });
  }
}

/** A connection that reconnects for as long as it takes, and until then keeps what it was asked to send. */
export function openRedis(address: RedisAddress): RedisConnection {
  const options = {
    ...settingsOf(address),
    retryStrategy: (attempt: number) => Math.min(50 * 2 ** Math.min(attempt, 10), MAX_RECONNECT_DELAY_MS),
  };
  const redis = address.isCluster === true ? openCluster(address.url, options) : new Redis(address.url, options);
  // Reconnecting is the answer to a lost connection; without a listener each loss would be printed.
  redis.on('error', () => undefined);
  return redis;
}

/**
 * Tries Redis once, each master of a Redis Cluster, and says what is wrong with it in words that the user can act on.
 * @throws RedisUnusable; RedisUnreachable where trying again may help
 */
export async function checkRedis(address: RedisAddress): Promise<CheckedRedis> {
  const options = { ...settingsOf(address), retryStrategy: () => null, maxRetriesPerRequest: 0 };
  const redis = new Redis(address.url, options);
  const failures: Error[] = [];
  redis.on('error', (error) => failures.push(error));
  try {
    await redis.connect();
    const info = await redis.info();
    if (!isClusterNode(info)) return { isCluster: false, warnings: judge(info) };
    const { host } = new URL(address.url);
    if (!/^cluster_state:ok\r?$/m.test(await redis.cluster('INFO'))) {
      throw new RedisUnreachable(`the Redis Cluster at ${host} is not complete`, { hint: 'See what CLUSTER INFO and CLUSTER NODES say there.' });
    }
    const infos = await infoOfMasters(address.url, options, failures);
    return { isCluster: true, warnings: [...new Set(infos.flatMap(judge))] };
  } catch (error) {
    if (error instanceof RedisUnusable) throw error;
    throw explain([...failures, ...(error instanceof Error ? [error] : [])], new URL(address.url).host);
  } finally {
    redis.disconnect();
  }
}

async function infoOfMasters(url: string, options: ConnectionOptions, failures: Error[]): Promise<string[]> {
  const cluster = openCluster(url, options);
  cluster.on('node error', (error: Error, node: string) => failures.push(new Error(`its node ${node}: ${error.message}`)));
  try {
    await once(cluster, 'ready');
    return await Promise.all(mastersOf(cluster).map((node) => node.info()));
  } finally {
    cluster.disconnect();
  }
}

function explain(errors: readonly Error[], host: string): RedisUnusable {
  const text = errors.map(({ message }) => message).join('; ');
  const options = { cause: errors[0] };
  if (/WRONGPASS|invalid password|invalid username/i.test(text)) {
    const hint = 'Correct the credentials in the Secret of spec.redis.urlFrom.';
    return new RedisUnusable(`Redis at ${host} refuses the user or password`, { ...options, hint });
  }
  if (/NOAUTH/.test(text)) {
    const hint = 'Put them into the URL: redis://user:password@host:port.';
    return new RedisUnusable(`Redis at ${host} asks for credentials and the URL has none`, { ...options, hint });
  }
  if (/NOPERM/.test(text)) {
    const hint = 'Allow it all commands on keys and channels fedbiot:*, and INFO.';
    return new RedisUnusable(`Redis at ${host} does not allow this user what a job needs`, { ...options, hint });
  }
  if (/certificate|self.signed|SSL|TLS/i.test(text)) {
    const hint = 'Give the authority in spec.redis.tls.caSecret, and use rediss:// only where Redis speaks TLS.';
    return new RedisUnusable(`no trusted TLS connection to Redis at ${host}: ${text}`, { ...options, hint });
  }
  const hint = 'Check host and port in the URL, that Redis runs, and that network policies let this pod reach it.';
  return new RedisUnreachable(`Redis at ${host} cannot be reached: ${text}`, { ...options, hint });
}

/** What INFO says about version and memory. */
function judge(info: string): string[] {
  const field = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? '';
  const version = field('redis_version');
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major < 6 || (major === 6 && minor < 2)) {
    throw new RedisUnusable(`Redis has version ${version || 'unknown'}, 6.2 is the oldest that works`, { hint: 'Use a newer Redis.' });
  }
  const policy = field('maxmemory_policy');
  if (policy === 'noeviction') return [];
  const says = `Redis has maxmemory-policy ${policy || 'unknown'}`;
  const hint = 'Set maxmemory-policy noeviction.';
  if (field('maxmemory') !== '0') throw new RedisUnusable(`${says}: it would drop tasks and tensors when memory runs short`, { hint });
  return [`${says}; that does no harm as long as maxmemory is 0. ${hint}`];
}
