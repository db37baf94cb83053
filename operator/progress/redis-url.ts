/** Whether a text, which people write into Secrets, is the URL of a Redis. Anything else a client would take for the path of a socket, and tell in its errors. */
export function isRedisUrl(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : null;
  return url !== null && (url.protocol === 'redis:' || url.protocol === 'rediss:') && url.hostname !== '';
}
