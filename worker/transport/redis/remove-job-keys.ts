import { jobKeys } from '../../cluster/redis-keys.ts';
import { mastersOf } from './redis-cluster.ts';
import type { RedisConnection } from './redis-cluster.ts';

const SCAN_COUNT = 500;

/** Removes all that a job left in Redis. What a pod that still runs writes afterwards stays until its TTL. @returns keys removed */
export async function removeJobKeys(redis: RedisConnection, uid: string): Promise<number> {
  if (!/^[\w-]+$/.test(uid)) throw new Error(`not a uid: ${JSON.stringify(uid)}`);
  let removed = 0;
  for (const node of mastersOf(redis)) {
    let cursor = '0';
    do {
      const [next, keys] = await node.scan(cursor, 'MATCH', `${jobKeys(uid).prefix}:*`, 'COUNT', SCAN_COUNT);
      if (keys.length > 0) removed += await redis.unlink(...keys);
      cursor = next;
    } while (cursor !== '0');
  }
  return removed;
}
