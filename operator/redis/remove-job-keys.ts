import type { Redis } from 'ioredis';
import { jobKeys } from '../../worker/cluster/redis-keys.ts';

const SCAN_COUNT = 500;

/** Time limit, for a Redis whose list of keys does not end. */
const PATIENCE_MS = 60_000;

/**
 * Removes all keys of a job from the node that has them. Keys that a running pod writes afterwards expire by their TTL.
 * @returns the number of removed keys
 */
export async function removeJobKeys(node: Redis, uid: string): Promise<number> {
  if (!/^[\w-]+$/.test(uid)) throw new Error(`not a uid: ${JSON.stringify(uid)}`);
  const { prefix, progress } = jobKeys(uid);
  // SCAN names no key, so a node of a cluster would not redirect it.
  await node.exists(progress);
  const began = performance.now();
  let removed = 0;
  let cursor = '0';
  do {
    const [next, found] = await node.scan(cursor, 'MATCH', `${prefix}:*`, 'COUNT', SCAN_COUNT);
    const keys = found.filter((key) => key.startsWith(`${prefix}:`));
    if (keys.length > 0) removed += await node.unlink(...keys);
    cursor = next;
    if (performance.now() - began > PATIENCE_MS)
      throw new Error(`Redis lists keys for more than ${PATIENCE_MS / 1000} s`);
  } while (cursor !== '0');
  return removed;
}
