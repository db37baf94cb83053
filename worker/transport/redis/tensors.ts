import Type from 'typebox';
import type { Static } from 'typebox';
import Value from 'typebox/value';
import type { JobKeys } from '../../cluster/redis-keys.ts';
import { Refused } from '../../../crds/facts/refusal.ts';
import type { RefusalReason } from '../../../crds/facts/refusal.ts';
import type { Sealed } from '../contract.ts';
import { CHUNK_BYTES, chunksOf, MAX_CHUNKS, RedisChunks, stringIn } from './chunks.ts';
import type { Fence } from './fence.ts';
import { readJson } from './read-json.ts';
import type { RedisConnection } from './redis-cluster.ts';

const Manifest = Type.Object({
  bytes: Type.Integer({ minimum: 0, maximum: MAX_CHUNKS * CHUNK_BYTES }),
  chunks: Type.Integer({ minimum: 0, maximum: MAX_CHUNKS }),
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
  readonly #chunks: RedisChunks;

  /** @param ttlSeconds time after which bytes expire that nobody unlinks */
  constructor(redis: RedisConnection, keys: Pick<JobKeys, 'tensors'>, ttlSeconds: number) {
    this.#redis = redis;
    this.#prefix = keys.tensors;
    this.#ttl = ttlSeconds;
    this.#chunks = new RedisChunks(redis, keys, ttlSeconds);
  }

  /** The keys of a byte string of `bytes` bytes, the manifest first. */
  keys(name: string, bytes: number): string[] {
    return [this.#manifest(name), ...this.#chunks.keys(name, bytes)];
  }

  /** @throws Fenced once the fence has been lost */
  async write(name: string, { bytes, sha256 }: Sealed, fence: Fence): Promise<void> {
    await this.#chunks.write(name, bytes, fence);
    const { byteLength } = bytes;
    const manifest = JSON.stringify({ bytes: byteLength, chunks: chunksOf(byteLength), sha256 });
    await fence.run('SET', [this.#manifest(name)], [manifest, 'EX', this.#ttl]);
  }

  /**
   * The bytes under a name; the caller checks their digest. Chunks are read only if the manifest equals the announced
   * one, and at most one byte more of each than expected.
   * @param gone reason of the refusal if nothing is stored
   * @throws Refused
   */
  async read(name: string, announced: Announced, what: string, gone: RefusalReason): Promise<Uint8Array> {
    const manifest = await stringIn(what, () => this.#readManifest(name));
    if (manifest === undefined) throw new Refused(gone, `${what} is gone`);
    const expected = { bytes: announced.bytes, chunks: chunksOf(announced.bytes), sha256: announced.sha256 };
    if (
      !Value.Check(Manifest, manifest) ||
      JSON.stringify(Value.Clean(Manifest, manifest)) !== JSON.stringify(expected)
    ) {
      throw new Refused('wrong-digest', `${what}: its manifest differs from the announced one`);
    }
    try {
      return await this.#chunks.read(name, announced.bytes, what);
    } catch (error) {
      // The bytes may have been unlinked since the manifest was read.
      if (error instanceof Refused && (await this.#redis.exists(this.#manifest(name))) === 0)
        throw new Refused(gone, `${what} is gone`);
      throw error;
    }
  }

  /** Removes the bytes under a name. */
  async unlink(name: string): Promise<void> {
    const manifest = await this.#readManifest(name);
    const bytes = Value.Check(Manifest, manifest) ? manifest.bytes : 0;
    await this.#redis.unlink(...this.keys(name, bytes));
  }

  #readManifest(name: string): Promise<unknown> {
    return readJson(this.#redis, this.#manifest(name), MAX_MANIFEST_BYTES);
  }

  #manifest(name: string): string {
    return `${this.#prefix}:${name}`;
  }
}
