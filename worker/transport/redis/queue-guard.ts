import type { Job } from 'bullmq';
import type { JobKeys, QUEUE } from '../../cluster/redis-keys.ts';
import { MAX_TASK_BYTES } from './names.ts';
import type { RedisConnection } from './redis-cluster.ts';
import { taskKey } from './task-queue.ts';
import { RedisUnusable } from './unusable.ts';

/** More than the tasks of a round or the results of all pods. */
export const MAX_WAITING = 100_000;
/** Entries of BullMQ removed by one call, so that it does not block Redis for long. */
const MAX_DROPPED = 100;
/** Limits of such an entry: BullMQ writes about ten fields, which are short except for the data. */
const MAX_FIELDS = 32;
const MAX_FIELD_BYTES = 4096;
const MAX_ID_BYTES = 128;

/**
 * Removes the next tasks while they are invalid: BullMQ could not read them, or would read them whatever their
 * size. KEYS: wait, meta, prioritized, delayed. ARGV: prefix of entries, most bytes of an entry's data.
 */
const CLEAN = `
local marks = redis.call('HMGET', KEYS[2], 'paused', 'concurrency', 'max')
if marks[1] or marks[2] or marks[3] then return {'held', 0, 0} end
local waiting = redis.call('LLEN', KEYS[1])
if waiting == 0 then return {'clean', 0, 0} end
if waiting > ${MAX_WAITING} then return {'flooded', waiting, 0} end
redis.call('UNLINK', KEYS[3], KEYS[4])
local function isEntry(id)
  local key = ARGV[1] .. id
  if #id > ${MAX_ID_BYTES} or redis.call('TYPE', key).ok ~= 'hash' or redis.call('HLEN', key) > ${MAX_FIELDS} then return false end
  for _, field in ipairs(redis.call('HKEYS', key)) do
    local limit = ${MAX_FIELD_BYTES}
    if field == 'data' then limit = tonumber(ARGV[2]) end
    if #field > 64 or redis.call('HSTRLEN', key, field) > limit then return false end
  end
  for _, text in ipairs(redis.call('HMGET', key, 'data', 'opts', 'stacktrace')) do
    if text and not pcall(cjson.decode, text) then return false end
  end
  return true
end
local dropped = 0
while dropped < ${MAX_DROPPED} do
  local id = redis.call('LINDEX', KEYS[1], -1)
  if not id or isEntry(id) then break end
  redis.call('RPOP', KEYS[1])
  redis.call('UNLINK', ARGV[1] .. id)
  dropped = dropped + 1
end
return {'clean', waiting - dropped, dropped}
`;

/** The error for a queue that somebody has filled. */
export const flooded = (queue: keyof typeof QUEUE, entries: number): RedisUnusable =>
  new RedisUnusable(`the queue ${queue} of the job in Redis has ${entries} entries, more than ${MAX_WAITING}`, {
    hint: 'Find out who writes to keys fedbiot:*, and create the job again.',
  });

/**
 * Makes sure that the next task, if any, can be taken.
 * @returns the number of tasks that wait, and of those removed because no pod of the job can have written them
 * @throws RedisUnusable if somebody has paused, limited or flooded the queue
 */
export async function cleanTasks(
  redis: RedisConnection,
  job: JobKeys,
): Promise<{ readonly waiting: number; readonly dropped: number }> {
  const key = (name: string) => taskKey(job, name);
  const keys = [key('wait'), key('meta'), key('prioritized'), key('delayed')];
  const reply: unknown = await redis.eval(CLEAN, keys.length, ...keys, key(''), MAX_TASK_BYTES);
  const [found, ...counts]: unknown[] = Array.isArray(reply) ? reply : [];
  const [waiting = 0, dropped = 0] = counts.map(Number);
  if (found === 'held') {
    throw new RedisUnusable('somebody has paused or limited the queue tasks of the job in Redis', {
      hint: `Remove the fields paused, concurrency and max of ${key('meta')}; spec.suspend suspends a job.`,
    });
  }
  if (found === 'flooded') throw flooded('tasks', waiting);
  return { waiting, dropped };
}

/** Removes a task from its queue, unless this process no longer holds it. */
export async function finish(job: Job, token: string): Promise<void> {
  try {
    await job.moveToCompleted(null, token, false);
  } catch (error) {
    // BullMQ's scripts answer with negative codes when the lock or the entry is gone.
    if (!(error instanceof Error && 'code' in error && typeof error.code === 'number' && error.code < 0)) throw error;
  }
}
