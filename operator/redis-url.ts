/** Whether a text, which people write into Secrets, is the URL of a Redis. Anything else a client would take for the path of a socket, and tell in its errors. */
export function isRedisUrl(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : null;
  return url !== null && (url.protocol === 'redis:' || url.protocol === 'rediss:') && url.hostname !== '';
}

/** Where a Redis listens whose URL, or whose very existence, says nothing else. */
export const REDIS_PORT = 6379;

/** The port that the URL of a Redis names. */
export const redisPort = (url: string): number => Number(new URL(url).port) || REDIS_PORT;
