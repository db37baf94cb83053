import type { Redis } from 'ioredis';
import { jobKeys } from '../../worker/cluster/redis-keys.ts';

const SCAN_COUNT = 500;

/** Limit of time for a Redis whose list of keys does not end. */
const PATIENCE_MS = 60_000;

/**
 * Removes all that a job left in the node that has its keys. What a pod that still runs writes afterwards stays until
 * its TTL. @returns keys removed
 */
export async function removeJobKeys(node: Redis, uid: string): Promise<number> {
  if (!/^[\w-]+$/.test(uid)) throw new Error(`not a uid: ${JSON.stringify(uid)}`);
  const { prefix, progress } = jobKeys(uid);
  // SCAN names no key, so that a node of a cluster would not redirect it.
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
