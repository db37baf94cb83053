/** Keys of the Secret with a job's credentials. */
export const CREDENTIAL = {
  token: 'token',
  redisUrl: { server: 'redis-url-server', client: 'redis-url-client' },
  /** The key for both roles, in Secrets of jobs that were started by an operator that created no users. */
  oneRedisUrl: 'redis-url',
  redisCa: 'redis-ca.crt',
} as const;

/** A value of a Secret's `data`: base64 of UTF-8. */
export const encodeSecret = (text: string): string => Buffer.from(text, 'utf8').toString('base64');

export const decodeSecret = (encoded: string): string => Buffer.from(encoded, 'base64').toString('utf8');
