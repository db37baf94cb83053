import Type from 'typebox';
import type { Static } from 'typebox';
import Value from 'typebox/value';
import type { JobKeys } from '../../cluster/redis-keys.ts';
import { Refused } from '../../../crds/facts/refusal.ts';
import type { RefusalReason } from '../../../crds/facts/refusal.ts';
import type { Sealed } from '../contract.ts';
import type { Fence } from './fence.ts';
import { readJson } from './read-json.ts';
import type { RedisConnection } from './redis-cluster.ts';
import { RedisUnusable } from './unusable.ts';

/** Large enough for few round trips, small enough not to block Redis. */
export const CHUNK_BYTES = 2 * 1024 * 1024;

const Manifest = Type.Object({
  bytes: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
  chunks: Type.Integer({ minimum: 0, maximum: 16_384 }),
  sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
});

type Announced = Pick<Static<typeof Manifest>, 'bytes' | 'sha256'>;

/** Longer than any manifest. */
const MAX_MANIFEST_BYTES = 512;

/** Named byte strings in Redis: chunks, and a manifest that is written last, so that a readable one is complete. */
export class RedisTensors {
  readonly #redis: RedisConnection;
  readonly #prefix: string;
  readonly #ttl: number;

  /** @param ttlSeconds time after which bytes expire that nobody unlinks */
  constructor(redis: RedisConnection, { tensors }: Pick<JobKeys, 'tensors'>, ttlSeconds: number) {
    this.#redis = redis;
    this.#prefix = tensors;
    this.#ttl = ttlSeconds;
  }

  /** @throws Fenced if a fence is given and has been lost */
  async write(name: string, { bytes, sha256 }: Sealed, fence?: Fence): Promise<void> {
    const chunks = Math.ceil(bytes.byteLength / CHUNK_BYTES);
    for (let i = 0; i < chunks; i++)
      await this.#set(this.#chunk(name, i), bytes.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES), fence);
    const manifest = JSON.stringify({ bytes: bytes.byteLength, chunks, sha256 });
    await this.#set(this.#manifest(name), Buffer.from(manifest), fence);
  }

  /**
   * The bytes under a name; the caller checks their digest. Chunks are read only if the manifest equals the announced
   * one, and at most one byte more of each than expected.
   * @param gone reason of the refusal if nothing is stored
   * @throws Refused
   */
  async read(name: string, announced: Announced, what: string, gone: RefusalReason): Promise<Uint8Array> {
    try {
      return await this.#read(name, announced, what, gone);
    } catch (error) {
      if (error instanceof RedisUnusable && /WRONGTYPE/.test(String(error.cause)))
        throw new Refused('wrong-digest', `${what} is not a string in Redis`);
      throw error;
    }
  }

  async #read(name: string, announced: Announced, what: string, gone: RefusalReason): Promise<Uint8Array> {
    const manifest = await this.#readManifest(name);
    if (manifest === undefined) throw new Refused(gone, `${what} is gone`);
    const chunks = Math.ceil(announced.bytes / CHUNK_BYTES);
    const expected = { bytes: announced.bytes, chunks, sha256: announced.sha256 };
    if (
      !Value.Check(Manifest, manifest) ||
      JSON.stringify(Value.Clean(Manifest, manifest)) !== JSON.stringify(expected)
    ) {
      throw new Refused('wrong-digest', `${what}: its manifest differs from the announced one`);
    }
    const bytes = new Uint8Array(announced.bytes);
    for (let i = 0; i < chunks; i++) {
      const size = Math.min(CHUNK_BYTES, announced.bytes - i * CHUNK_BYTES);
      const chunk = await this.#redis.getrangeBuffer(this.#chunk(name, i), 0, size);
      if (chunk.byteLength === 0) {
        const ended = (await this.#redis.exists(this.#manifest(name))) === 0;
        throw new Refused(ended ? gone : 'wrong-digest', `${what}: chunk ${i} of ${chunks} is gone`);
      }
      if (chunk.byteLength !== size) {
        const has = chunk.byteLength > size ? 'more' : chunk.byteLength;
        throw new Refused('wrong-digest', `${what}: chunk ${i} has ${has} bytes, not ${size}`);
      }
      bytes.set(chunk, i * CHUNK_BYTES);
    }
    return bytes;
  }

  /** Removes the bytes under a name, the manifest first. */
  async unlink(name: string): Promise<void> {
    const manifest = await this.#readManifest(name);
    await this.#redis.unlink(this.#manifest(name));
    const chunks = Value.Check(Manifest, manifest) ? manifest.chunks : 0;
    for (let i = 0; i < chunks; i++) await this.#redis.unlink(this.#chunk(name, i));
  }

  #readManifest(name: string): Promise<unknown> {
    return readJson(this.#redis, this.#manifest(name), MAX_MANIFEST_BYTES);
  }

  async #set(key: string, value: Uint8Array, fence: Fence | undefined): Promise<void> {
    if (fence !== undefined) return fence.run('SET', [key], [value, 'EX', this.#ttl]);
    await this.#redis.set(key, Buffer.from(value.buffer, value.byteOffset, value.byteLength), 'EX', this.#ttl);
  }

  #manifest(name: string): string {
    return `${this.#prefix}:${name}`;
  }

  #chunk(name: string, i: number): string {
    return `${this.#prefix}:${name}:${i}`;
  }
}
