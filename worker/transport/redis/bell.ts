import { Cluster } from 'ioredis';
import type { Redis } from 'ioredis';
import { KEYS_TTL_SECONDS } from '../../cluster/redis-keys.ts';
import { openRedis } from './connect.ts';
import type { RedisAddress } from './connect.ts';
import type { RedisListener } from './patience.ts';
import type { RedisConnection } from './redis-cluster.ts';

/** How long Redis holds back its answer without a ring: a ring that is lost delays whoever waits by no more. */
const WAIT_SECONDS = 10;

/** A connection that is silent for longer is lost. */
const SILENCE_MS = 20_000;

/** More than Redis sends while a connection begins and waits. */
const MAX_BYTES = 256 * 1024;

/** What rings: BullMQ’s marker is the same. */
export const RING = '0';

/**
 * Waits until a key is rung: a sorted set from which Redis pops a member, by a blocking read on its own connection. A
 * ring says only that something may have come.
 */
export class Bell {
  readonly #redis: RedisConnection;
  readonly #key: string;
  #listening: Promise<void> | null = null;
  #waiting = 0;
  #received = 0;

  constructor(address: RedisAddress, key: string, listener: RedisListener) {
    this.#redis = openRedis(address, listener);
    this.#key = key;
    const bound = (node: Redis) => node.on('connect', () => this.#bound(node, listener));
    if (this.#redis instanceof Cluster) this.#redis.on('+node', bound);
    else bound(this.#redis);
  }

  /** Resolves at a ring, when `signal` aborts, and now and then without either. @throws RedisUnusable */
  async wait(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const { promise: aborted, resolve } = Promise.withResolvers<void>();
    const leave = () => resolve();
    signal.addEventListener('abort', leave, { once: true });
    this.#waiting++;
    try {
      await Promise.race([(this.#listening ??= this.#listen()), aborted]);
    } finally {
      this.#waiting--;
      signal.removeEventListener('abort', leave);
    }
  }

  close(): void {
    this.#redis.disconnect();
  }

  async #listen(): Promise<void> {
    this.#received = 0;
    // A connection that was cut without a word is noticed only by what does not come.
    const watchdog = setInterval(() => {
      if (this.#redis.status === 'ready') this.#redis.disconnect(true);
    }, SILENCE_MS);
    try {
      const ring = await this.#redis.bzpopmin(this.#key, WAIT_SECONDS);
      if (ring !== null && this.#waiting === 0) await this.#pass();
    } catch (error) {
      if (this.#waiting > 0) throw error;
    } finally {
      clearInterval(watchdog);
      this.#listening = null;
    }
  }

  /** Rings for another end, as nobody waits here any more. */
  async #pass(): Promise<void> {
    await this.#redis.zadd(this.#key, 0, RING);
    await this.#redis.expire(this.#key, KEYS_TTL_SECONDS);
  }

  /** Other pods of the job write the key: what is popped may be too large for this one’s memory. */
  #bound(node: Redis, listener: RedisListener): void {
    const { stream } = node;
    this.#received = 0;
    stream.on('data', (chunk: Buffer) => {
      this.#received += chunk.byteLength;
      if (this.#received <= MAX_BYTES || stream.destroyed) return;
      listener.failed(new Error(`${this.#key} held more than a job writes there`));
      stream.destroy();
    });
  }
}
