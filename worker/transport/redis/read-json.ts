import type { RedisConnection } from './redis-cluster.ts';

/** The JSON under a key, of which `maxBytes` are read; undefined without a value, null when it is not JSON. */
export async function readJson(redis: RedisConnection, key: string, maxBytes: number): Promise<unknown> {
  const text = await redis.getrange(key, 0, maxBytes);
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
