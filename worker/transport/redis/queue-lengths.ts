import { QUEUE } from '../../cluster/redis-keys.ts';
import type { JobKeys } from '../../cluster/redis-keys.ts';
import type { RedisConnection } from './redis-cluster.ts';

export type QueueLengths = Readonly<Record<keyof typeof QUEUE, number>>;

/**
 * What waits in a job's queues; null while Redis is away: a connection that waits for it keeps every command that it is
 * given.
 */
export async function queueLengths(redis: RedisConnection, { prefix }: JobKeys): Promise<QueueLengths | null> {
  if (redis.status !== 'ready') return null;
  // BullMQ's list of what nobody has taken yet.
  const [tasks, results] = await Promise.all([
    redis.llen(`${prefix}:${QUEUE.tasks}:wait`),
    redis.llen(`${prefix}:${QUEUE.results}:wait`),
  ]);
  return { tasks, results };
}
