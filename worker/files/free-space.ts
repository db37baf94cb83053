import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Bytes that this user may still write to the file system of a path, of which only a parent may exist; null: unknown,
 * as on file systems that report no size.
 */
export function freeBytes(path: string): number | null {
  try {
    const { blocks, bavail, bsize } = statfsSync(path);
    return blocks === 0 ? null : bavail * bsize;
  } catch (error) {
    const parent = dirname(path);
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    return isMissing && parent !== path ? freeBytes(parent) : null;
  }
}
