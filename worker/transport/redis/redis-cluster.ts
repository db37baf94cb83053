import { Cluster, Redis } from 'ioredis';
import type { RedisEndpoint } from './redis-url.ts';
import { RedisUnusable } from './unusable.ts';

/** A single Redis or a Redis Cluster; a job's keys share a hash tag, so that one node has all of them. */
export type RedisConnection = Redis | Cluster;

/** Options of a connection to a single Redis or to a cluster. */
export interface ConnectionOptions {
  /** Null: commands wait without a limit. */
  readonly maxRetriesPerRequest: number | null;
  readonly connectTimeout: number;
  readonly commandTimeout?: number;
  readonly enableOfflineQueue?: boolean;
  /** Whether to connect only at the first command or at `connect`. */
  readonly lazyConnect?: boolean;
  /** For an endpoint with TLS; by default the system's CAs are trusted. */
  readonly tls?: { readonly ca?: string };
  /** Milliseconds until the next attempt; null: no further attempt. */
  readonly retryStrategy: (attempt: number) => number | null;
}

/** Whether the output of INFO is from a node of a Redis Cluster. */
export const isClusterNode = (info: string): boolean => /^redis_mode:cluster\r?$/m.test(info);

/** The masters that share the keys. */
export const mastersOf = (redis: RedisConnection): readonly Redis[] =>
  redis instanceof Cluster ? redis.nodes('master') : [redis];

/**
 * Delay in milliseconds before each attempt to connect: twice `baseMs` before the first, then doubled each time, up to
 * `mostMs`.
 */
export const reconnectDelay =
  (baseMs: number, mostMs: number) =>
  (attempt: number): number =>
    Math.min(baseMs * 2 ** Math.min(attempt, 10), mostMs);

/** A connection to one Redis. */
export function openSingle(endpoint: RedisEndpoint, { tls, ...options }: ConnectionOptions): Redis {
  return new Redis({
    ...options,
    host: endpoint.host,
    port: endpoint.port,
    db: endpoint.database,
    ...accessOf(endpoint, tls),
  });
}

/**
 * A connection to the Redis Cluster that the endpoint is a node of. All nodes use the same credentials and CA.
 * @throws RedisUnusable if the URL names a database other than 0, as a cluster has no other
 */
export function openCluster(endpoint: RedisEndpoint, options: ConnectionOptions): Cluster {
  if (endpoint.database !== 0) {
    throw new RedisUnusable(
      `the URL of Redis names database ${endpoint.database} of a Redis Cluster, which has only database 0`,
      { hint: 'Remove it from the URL.' },
    );
  }
  const {
    maxRetriesPerRequest,
    connectTimeout,
    commandTimeout,
    enableOfflineQueue = true,
    tls,
    retryStrategy,
  } = options;
  return new Cluster([{ host: endpoint.host, port: endpoint.port }], {
    redisOptions: {
      maxRetriesPerRequest,
      connectTimeout,
      ...(commandTimeout === undefined ? {} : { commandTimeout }),
      ...accessOf(endpoint, tls),
    },
    enableOfflineQueue,
    clusterRetryStrategy: retryStrategy,
    // Host names are kept, because certificates are issued for them.
    dnsLookup: (name, callback) => callback(null, name),
    slotsRefreshTimeout: connectTimeout,
    // During a failover, commands wait as they do for a single Redis.
    ...(maxRetriesPerRequest === null ? { maxRedirections: Infinity } : {}),
  });
}

const accessOf = ({ username, password, isTls }: RedisEndpoint, tls: ConnectionOptions['tls'] = {}) => ({
  ...(username === undefined ? {} : { username }),
  ...(password === undefined ? {} : { password }),
  ...(isTls ? { tls } : {}),
});
