import type { Role } from '../../../crds/facts/role.ts';
import { PROGRESS_CHANNEL, QUEUE } from '../../cluster/redis-keys.ts';
import type { JobKeys } from '../../cluster/redis-keys.ts';
import { freshResultName } from './names.ts';
import type { RedisConnection } from './redis-cluster.ts';

/** The role and job for which Redis is checked. */
export interface RedisNeeds {
  readonly keys: JobKeys;
  /** Only the server publishes progress. */
  readonly role: Role;
  /** `namespace/name`. */
  readonly job: string;
}

const TTL_SECONDS = 60;

/** A blocking read that nobody answers. */
const SHORT_SECONDS = 0.01;

/** One command of each type that the queues' scripts use. KEYS: a key of a queue. ARGV: TTL in seconds. */
const SCRIPT = `
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], 'at', time[1])
redis.call('EXPIRE', KEYS[1], ARGV[1])
redis.call('HGETALL', KEYS[1])
redis.call('UNLINK', KEYS[1])
redis.call('LPUSH', KEYS[1], '1')
redis.call('RPOPLPUSH', KEYS[1], KEYS[1])
redis.call('LPOS', KEYS[1], '1')
redis.call('DEL', KEYS[1])
redis.call('ZADD', KEYS[1], 1, '1')
redis.call('DEL', KEYS[1])
redis.call('SADD', KEYS[1], '1')
redis.call('DEL', KEYS[1])
redis.call('XADD', KEYS[1], '*', 'event', 'probe')
redis.call('DEL', KEYS[1])
return 1
`;

/**
 * Tries the commands that a role will use: writes, scripts, PUBLISH. It uses keys of the job, and removes them.
 * @throws the error reply of Redis
 */
export async function tryNeeds(redis: RedisConnection, { keys, role, job }: RedisNeeds): Promise<void> {
  const name = freshResultName();
  const tensor = `${keys.tensors}:${name}`;
  await redis.set(tensor, '1', 'EX', TTL_SECONDS);
  await redis.getrange(tensor, 0, 1);
  await redis.unlink(tensor);
  await redis.exists(keys.finished);
  for (const queue of Object.values(QUEUE)) {
    const key = `${keys.prefix}:${queue}:${name}`;
    await redis.eval(SCRIPT, 1, key, TTL_SECONDS);
    await redis.bzpopmin(key, SHORT_SECONDS);
  }
  if (role === 'server') await redis.publish(PROGRESS_CHANNEL, job);
}
