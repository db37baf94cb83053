import type { Redis } from 'ioredis';

/** Number of commands that Redis has executed, those of scripts included and INFO left out. */
export async function redisCommands(redis: Redis): Promise<number> {
  const calls = [...(await redis.info('commandstats')).matchAll(/^cmdstat_(?!info:)[^:]+:calls=(\d+)/gm)];
  return calls.reduce((sum, [, count]) => sum + Number(count), 0);
}
