import { KEYS_TTL_SECONDS, QUEUE } from '../../cluster/redis-keys.ts';
import type { JobKeys } from '../../cluster/redis-keys.ts';
import type { RedisConnection } from './redis-cluster.ts';

/** What BullMQ keeps of a queue, beside its entries. */
const NAMES = ['wait', 'active', 'stalled', 'marker', 'meta', 'id'] as const;

/** KEYS: the events, others. ARGV: TTL in seconds. */
const KEEP = `
redis.call('UNLINK', KEYS[1])
for i = 2, #KEYS do redis.call('EXPIRE', KEYS[i], ARGV[1]) end
`;

/** The key of a task, by its id, or of what BullMQ keeps of the queue. */
export const taskKey = ({ prefix }: JobKeys, name: string) => `${prefix}:${QUEUE.tasks}:${name}`;

/** Rung by BullMQ when a task waits. */
export const taskBell = (keys: JobKeys): string => taskKey(keys, 'marker');

/** The keys of the queue, and of the tasks with these ids. */
export const taskKeys = (keys: JobKeys, ids: Iterable<string>): string[] =>
  [...NAMES, ...ids].map((name) => taskKey(keys, name));

/**
 * What BullMQ does not do after it has changed the queue: it sets no TTL, and records events that nobody reads.
 * @param created names of keys of the queue that may be new, and ids of tasks
 */
export async function keepTasks(redis: RedisConnection, keys: JobKeys, created: readonly string[]): Promise<void> {
  const all = ['events', ...created].map((name) => taskKey(keys, name));
  await redis.eval(KEEP, all.length, ...all, KEYS_TTL_SECONDS);
}
