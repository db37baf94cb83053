import { Cluster } from 'ioredis';
import type { Redis } from 'ioredis';

/** One Redis, or the nodes of a Redis Cluster; a job's keys share a hash tag, so that one node has all of them. */
export type RedisConnection = Redis | Cluster;

/** How a connection behaves, to one Redis or to a cluster. */
export interface ConnectionOptions {
  /** Null: commands wait for as long as it takes. */
  readonly maxRetriesPerRequest: number | null;
  readonly connectTimeout: number;
  readonly commandTimeout?: number;
  readonly enableOfflineQueue?: boolean;
  readonly tls?: { readonly ca?: string };
  /** Milliseconds until the next attempt; null: there is none. */
  readonly retryStrategy: (attempt: number) => number | null;
}

/** Whether INFO is that of a node of a Redis Cluster. */
export const isClusterNode = (info: string): boolean => /^redis_mode:cluster\r?$/m.test(info);

/** The masters that share the keys. */
export const mastersOf = (redis: RedisConnection): readonly Redis[] => (redis instanceof Cluster ? redis.nodes('master') : [redis]);

/** A connection to the Redis Cluster of which the URL names a node. The others take the same credentials and authority. */
export function openCluster(url: string, options: ConnectionOptions): Cluster {
  const { protocol, hostname, port, username, password } = new URL(url);
  const { maxRetriesPerRequest, connectTimeout, commandTimeout, enableOfflineQueue = true, tls = {}, retryStrategy } = options;
  return new Cluster([{ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 6379) }], {
    redisOptions: {
      maxRetriesPerRequest,
      connectTimeout,
      ...(commandTimeout === undefined ? {} : { commandTimeout }),
      ...(username === '' ? {} : { username: decodeURIComponent(username) }),
      ...(password === '' ? {} : { password: decodeURIComponent(password) }),
      ...(protocol === 'rediss:' ? { tls } : {}),
    },
    enableOfflineQueue,
    clusterRetryStrategy: retryStrategy,
    // Names stay names: those are what certificates are for.
    dnsLookup: (name, callback) => callback(null, name),
    slotsRefreshTimeout: connectTimeout,
    // While another node takes the place of one that was lost, commands wait as they do for a single Redis.
    ...(maxRetriesPerRequest === null ? { maxRedirections: Infinity } : {}),
  });
}
