import { QUEUE } from '../../cluster/redis-keys.ts';
import type { JobKeys } from '../../cluster/redis-keys.ts';
import type { RedisConnection } from './redis-cluster.ts';

export type QueueLengths = Readonly<Record<keyof typeof QUEUE, number>>;

/**
 * Number of waiting entries in a job's queues; null while Redis is down, because a connection that waits for Redis
 * keeps every command.
 */
export async function queueLengths(redis: RedisConnection, { prefix }: JobKeys): Promise<QueueLengths | null> {
  if (redis.status !== 'ready') return null;
  // BullMQ's list of entries that nobody has taken.
  const [tasks, results] = await Promise.all([
    redis.llen(`${prefix}:${QUEUE.tasks}:wait`),
    redis.llen(`${prefix}:${QUEUE.results}:wait`),
  ]);
  return { tasks, results };
}
