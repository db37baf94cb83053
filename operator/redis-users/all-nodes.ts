import { once } from 'node:events';
import { Cluster } from 'ioredis';
import type { Redis } from 'ioredis';
import { errorMessage } from '../../crds/facts/user-error.ts';
import { isClusterNode, mastersOf, openCluster, openSingle } from '../../worker/transport/redis/redis-cluster.ts';
import type { ConnectionOptions, RedisConnection } from '../../worker/transport/redis/redis-cluster.ts';
import { readRedisUrl } from '../../worker/transport/redis/redis-url.ts';
import type { RedisEndpoint } from '../../worker/transport/redis/redis-url.ts';
import { FAIL_FAST, retryDelay } from '../redis/fail-fast.ts';

export interface NodeEvents {
  /** The node of the URL answers, or all nodes of the Redis Cluster are known. */
  ready(): void;
  /** Its connection failed. */
  failed(reason: string): void;
  /** Its connection was closed. */
  closed(): void;
  /** A node of the Redis Cluster joined, or came back. */
  joined(): void;
}

/** Connections to every node of the operator's Redis, which may be a Redis Cluster. */
export class AllNodes {
  readonly #endpoint: RedisEndpoint;
  readonly #options: ConnectionOptions;
  readonly #events: NodeEvents;
  /** The node of the URL. */
  #entry: Redis | null = null;
  #redis: RedisConnection | null = null;

  /** `ca`: PEM of the CA certificate; null: the CAs that the system trusts. */
  constructor(url: string, ca: string | null, events: NodeEvents) {
    this.#endpoint = readRedisUrl(url);
    this.#options = { ...FAIL_FAST, retryStrategy: retryDelay, ...(ca === null ? {} : { tls: { ca } }) };
    this.#events = events;
  }

  /** Connects to the node of the URL. */
  connect(): void {
    const { ready, failed, closed } = this.#events;
    const entry = openSingle(this.#endpoint, this.#options);
    this.#entry = entry;
    entry.on('error', ({ message }: Error) => failed(message));
    entry.on('close', closed);
    entry.on('ready', ready);
  }

  /** Whether the node of the URL answers. */
  get isReady(): boolean {
    return this.#entry?.status === 'ready';
  }

  /** The connection for commands that name a key; null before `discover`. */
  get redis(): RedisConnection | null {
    return this.#redis;
  }

  /** Finds the nodes of a Redis Cluster, or those that were added since. */
  async discover(): Promise<void> {
    if (this.#entry === null) return;
    this.#redis ??= await this.#open(this.#entry);
    if (this.#redis instanceof Cluster) await findNodes(this.#redis);
  }

  /**
   * Asks every node; rejects if the nodes are not known. A replica that does not answer is reported to `skipped`: it is
   * asked again before it can replace its master, or soon after.
   */
  async ask<T>(ask: (node: Redis) => Promise<T>, skipped: () => void = () => undefined): Promise<T[]> {
    const redis = this.#redis;
    if (redis === null) throw new Error('Redis does not answer');
    if (redis instanceof Cluster && !hasAllNodes(redis)) await findNodes(redis);
    const masters = mastersOf(redis);
    if (masters.length === 0) throw new Error('the Redis Cluster has no master');
    const replicas = redis instanceof Cluster ? redis.nodes('slave') : [];
    const asked = replicas.map((node) =>
      ask(node).then(
        (answer) => [answer],
        () => (skipped(), []),
      ),
    );
    const answers = await Promise.all(masters.map(ask));
    return [...answers, ...(await Promise.all(asked)).flat()];
  }

  close(): void {
    for (const redis of [this.#entry, this.#redis]) redis?.disconnect();
  }

  async #open(entry: Redis): Promise<RedisConnection> {
    if (!isClusterNode(await entry.info('server'))) return entry;
    const cluster = openCluster(this.#endpoint, this.#options);
    cluster.on('error', () => undefined);
    cluster.on('+node', this.#events.joined);
    cluster.on('ready', this.#events.ready);
    return cluster;
  }
}

/**
 * Waits until the client has found the nodes of the cluster. No node may be asked before the client is ready: its check
 * of the cluster fails at a node to which it is still connecting, and it then drops all nodes and starts again.
 */
async function findNodes(cluster: Cluster): Promise<void> {
  try {
    if (cluster.status !== 'ready') {
      await once(cluster, 'ready', { signal: AbortSignal.timeout(FAIL_FAST.commandTimeout) });
    } else {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      cluster.refreshSlotsCache((error) => (error ? reject(error) : resolve()));
      await promise;
    }
  } catch (cause) {
    throw new Error(`the nodes of the Redis Cluster are not known: ${errorMessage(cause)}`, { cause });
  }
}

/** Whether the client has the nodes of all slots: it drops a node when the connection is lost. */
function hasAllNodes(cluster: Cluster): boolean {
  if (cluster.status !== 'ready') return false;
  const known = new Set(cluster.nodes().map(({ options: { host, port } }) => `${host}:${port}`));
  return cluster.slots.flat().every((node) => known.has(node));
}
