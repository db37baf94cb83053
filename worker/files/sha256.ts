import { createHash } from 'node:crypto';
import type { BinaryLike, Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';

/** SHA-256 (hex) of bytes, or of a text in UTF-8. */
export function sha256(content: BinaryLike): string {
  return newSha256().update(content).digest('hex');
}

/** The same digest as 32 bytes. */
export function sha256Bytes(content: BinaryLike): Buffer {
  return newSha256().update(content).digest();
}

/** Starts a digest of content that arrives in parts or as a stream. */
export function newSha256(): Hash {
  return createHash('sha256');
}

const known = new Map<string, Promise<string>>();

/**
 * SHA-256 (hex) of a file, read as a stream. Computed once per process for a path, unless its size or modification time
 * changes.
 */
export async function fileSha256(path: string): Promise<string> {
  const { size, mtimeMs } = await stat(path);
  const key = JSON.stringify([path, size, mtimeMs]);
  const digest = known.get(key) ?? digestOf(path);
  known.set(key, digest);
  digest.catch(() => known.delete(key));
  return digest;
}

async function digestOf(path: string): Promise<string> {
  const hash = newSha256();
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  return hash.digest('hex');
}
