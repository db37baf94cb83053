import type { JobKeys } from '../../cluster/redis-keys.ts';
import { Refused } from '../../../crds/facts/refusal.ts';
import type { Fence } from './fence.ts';
import type { RedisConnection } from './redis-cluster.ts';
import { RedisUnusable } from './unusable.ts';

/** Large enough for few round trips, small enough not to block Redis. */
export const CHUNK_BYTES = 2 * 1024 * 1024;

/** Most chunks of a byte string. */
export const MAX_CHUNKS = 16_384;

/** Chunks that may be under way at once, as each is copied on its way. */
const MAX_IN_FLIGHT = 4;

/** Byte strings in Redis, by name, in chunks. */
export class RedisChunks {
  readonly #redis: RedisConnection;
  readonly #prefix: string;
  readonly #ttl: number;

  /** @param ttlSeconds time after which bytes expire that nobody removes */
  constructor(redis: RedisConnection, { tensors }: Pick<JobKeys, 'tensors'>, ttlSeconds: number) {
    this.#redis = redis;
    this.#prefix = tensors;
    this.#ttl = ttlSeconds;
  }

  /** Keys of the chunks of a byte string of `bytes` bytes. */
  keys(name: string, bytes: number): string[] {
    return Array.from({ length: chunksOf(bytes) }, (_, i) => `${this.#prefix}:${name}:${i}`);
  }

  /** @throws Fenced if a fence is given and has been lost */
  async write(name: string, bytes: Uint8Array, fence?: Fence): Promise<void> {
    await inFlight(this.keys(name, bytes.byteLength), async (key, i) => {
      const chunk = bytes.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES);
      if (fence !== undefined) return fence.run('SET', [key], [chunk, 'EX', this.#ttl]);
      await this.#redis.set(key, Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength), 'EX', this.#ttl);
    });
  }

  /**
   * The `size` bytes under a name; the caller checks their digest. At most one byte more of each chunk is read.
   * @throws Refused
   */
  async read(name: string, size: number, what: string): Promise<Uint8Array> {
    const bytes = new Uint8Array(size);
    await inFlight(this.keys(name, size), async (key, i) => {
      const expected = Math.min(CHUNK_BYTES, size - i * CHUNK_BYTES);
      const chunk = await stringIn(what, () => this.#redis.getrangeBuffer(key, 0, expected));
      if (chunk.byteLength === 0) throw new Refused('wrong-digest', `${what}: chunk ${i} of ${chunksOf(size)} is gone`);
      if (chunk.byteLength !== expected) {
        const has = chunk.byteLength > expected ? 'more' : chunk.byteLength;
        throw new Refused('wrong-digest', `${what}: chunk ${i} has ${has} bytes, not ${expected}`);
      }
      bytes.set(chunk, i * CHUNK_BYTES);
    });
    return bytes;
  }
}

export const chunksOf = (bytes: number): number => Math.ceil(bytes / CHUNK_BYTES);

/** The answer to a read of a string. @throws Refused if the key holds something else */
export async function stringIn<T>(what: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof RedisUnusable && /WRONGTYPE/.test(String(error.cause)))
      throw new Refused('wrong-digest', `${what} is not a string in Redis`);
    throw error;
  }
}

/** Does the work of each key, of a few at once. */
async function inFlight(keys: readonly string[], work: (key: string, i: number) => Promise<void>): Promise<void> {
  const left = keys.entries();
  const some = async () => {
    for (const [i, key] of left) await work(key, i);
  };
  await Promise.all(Array.from({ length: MAX_IN_FLIGHT }, some));
}
