import { Cluster, Redis } from 'ioredis';
import type { RedisEndpoint } from './redis-url.ts';
import { RedisUnusable } from './unusable.ts';

/** One Redis, or the nodes of a Redis Cluster; a job's keys share a hash tag, so that one node has all of them. */
export type RedisConnection = Redis | Cluster;

/** How a connection behaves, to one Redis or to a cluster. */
export interface ConnectionOptions {
  /** Null: commands wait for as long as it takes. */
  readonly maxRetriesPerRequest: number | null;
  readonly connectTimeout: number;
  readonly commandTimeout?: number;
  readonly enableOfflineQueue?: boolean;
  /** Whether to connect with the first command only, or by `connect`. */
  readonly lazyConnect?: boolean;
  /** Of an endpoint with TLS: without it, the system's authorities count. */
  readonly tls?: { readonly ca?: string };
  /** Milliseconds until the next attempt; null: there is none. */
  readonly retryStrategy: (attempt: number) => number | null;
}

/** Whether INFO is that of a node of a Redis Cluster. */
export const isClusterNode = (info: string): boolean => /^redis_mode:cluster\r?$/m.test(info);

/** The masters that share the keys. */
export const mastersOf = (redis: RedisConnection): readonly Redis[] =>
  redis instanceof Cluster ? redis.nodes('master') : [redis];

/**
 * Milliseconds before each attempt to connect, from the first: twice `baseMs`, then twice as long each time, up to
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
 * A connection to the Redis Cluster of which the endpoint is a node. The others take the same credentials and
 * authority.
 * @throws RedisUnusable where a database is named: a cluster has one
 */
export function openCluster(endpoint: RedisEndpoint, options: ConnectionOptions): Cluster {
  if (endpoint.database !== 0) {
    throw new RedisUnusable(
      `the URL of Redis names database ${endpoint.database} of a Redis Cluster, which has database 0 alone`,
      { hint: 'Leave it out of the URL.' },
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
    // Names stay names: those are what certificates are for.
    dnsLookup: (name, callback) => callback(null, name),
    slotsRefreshTimeout: connectTimeout,
    // While another node takes the place of one that was lost, commands wait as they do for a single Redis.
    ...(maxRetriesPerRequest === null ? { maxRedirections: Infinity } : {}),
  });
}

const accessOf = ({ username, password, isTls }: RedisEndpoint, tls: ConnectionOptions['tls'] = {}) => ({
  ...(username === undefined ? {} : { username }),
  ...(password === undefined ? {} : { password }),
  ...(isTls ? { tls } : {}),
});
