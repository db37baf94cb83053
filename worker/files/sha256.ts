import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';

/** SHA-256 (hex) of bytes, or of a text in UTF-8. */
export function sha256(content: Uint8Array | string): string {
  return createHash('sha256').update(content).digest('hex');
}

const known = new Map<string, Promise<string>>();

/**
 * SHA-256 (hex) of a file's contents, read as a stream; computed once a process for a path whose size and time stay the
 * same.
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
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  return hash.digest('hex');
}
