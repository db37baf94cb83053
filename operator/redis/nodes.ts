import type { Redis } from 'ioredis';
import { isClusterNode } from '../../worker/transport/redis/redis-cluster.ts';
import { hostAndPort, readRedisUrl } from '../../worker/transport/redis/redis-url.ts';
import { openGuarded } from './open.ts';
import type { GuardedOptions } from './open.ts';

/** Limit of a Redis Cluster's nodes: the author of the URL controls the addresses that the operator connects to. */
const MAX_NODES = 64;

/** Limit of redirections for one request. */
const MAX_MOVES = 4;

/**
 * A Redis, or the nodes of a Redis Cluster that were needed so far. The client's cluster mode is not used, as it trusts
 * all data about slots and nodes; here a node is contacted only after a redirection to it.
 */
export class RedisNodes {
  /** The node of the URL, the only one that reconnects by itself. */
  readonly seed: Redis;
  readonly #options: GuardedOptions;
  readonly #others = new Map<string, { readonly node: Redis; readonly connected: Promise<Redis> }>();
  /** The node with a job's keys, by uid, if it is not the first. */
  readonly #homes = new Map<string, Redis>();
  #closed = false;

  constructor(options: GuardedOptions) {
    this.#options = options;
    this.seed = openGuarded(options);
    this.seed.on('error', () => undefined);
  }

  /**
   * Asks the node that has the job's keys, which the first command that names a key finds. Rejects with the node's
   * error, or if it does not answer.
   */
  async at<T>(uid: string, ask: (node: Redis) => Promise<T>): Promise<T> {
    let node = this.#homes.get(uid) ?? this.seed;
    for (let moves = 0; ; moves++) {
      try {
        return await ask(node);
      } catch (error) {
        this.#homes.delete(uid);
        const place = movedTo(error, this.#options.endpoint.host);
        if (place === null || moves === MAX_MOVES) throw error;
        node = await this.#other(place);
        this.#homes.set(uid, node);
      }
    }
  }

  /** The masters, which share the keys. */
  async masters(): Promise<readonly Redis[]> {
    if (!isClusterNode(await this.seed.info())) return [this.seed];
    const slots = await this.seed.cluster('SLOTS');
    const places = new Set(
      slots.flatMap(([, , master]) =>
        master === undefined ? [] : [hostAndPort({ host: master[0] || this.#options.endpoint.host, port: master[1] })],
      ),
    );
    return Promise.all([...places].map((place) => this.#other(place)));
  }

  forget(uid: string): void {
    this.#homes.delete(uid);
  }

  close(): void {
    this.#closed = true;
    this.seed.disconnect();
    for (const { node } of this.#others.values()) node.disconnect();
  }

  #other(place: string): Promise<Redis> {
    const known = this.#others.get(place);
    if (known !== undefined) return known.connected;
    if (this.#closed) return Promise.reject(new Error('the connections to Redis are closed'));
    if (this.#others.size >= MAX_NODES)
      return Promise.reject(new Error(`the Redis Cluster has more than ${MAX_NODES} nodes`));
    const { host, port } = readRedisUrl(`redis://${place}`);
    const node = openGuarded({
      ...this.#options,
      endpoint: { ...this.#options.endpoint, host, port },
      retryStrategy: () => null,
    });
    node.on('error', () => undefined);
    const connected = node.connect().then(() => node);
    this.#others.set(place, { node, connected });
    node.once('end', () => this.#others.delete(place));
    return connected;
  }
}

/** The address in a redirection, `MOVED slot host:port`, whose host may be empty; null: the error is another. */
function movedTo(error: unknown, host: string): string | null {
  const [, there, port] = error instanceof Error ? (/^MOVED \d+ (\S*):(\d+)$/.exec(error.message) ?? []) : [];
  return there === undefined || port === undefined ? null : hostAndPort({ host: there || host, port: Number(port) });
}
