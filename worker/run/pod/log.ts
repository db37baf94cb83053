import pino from 'pino';
import type { Logger } from 'pino';
import { MessageThrottle } from '../../transport/redis/message-throttle.ts';
import type { RedisListener } from '../../transport/redis/patience.ts';

/** Shorter secrets are not replaced: they may be part of ordinary words. */
const SHORTEST_SECRET = 6;

/** Returns a function that replaces secrets in a text, in case an error message contains one. */
export function secretRedactor(secrets: readonly string[]): (text: string) => string {
  // The longest first: a URL contains its password.
  const known = secrets.filter(({ length }) => length >= SHORTEST_SECRET).sort((a, b) => b.length - a.length);
  return (text) => known.reduce((rest, secret) => rest.replaceAll(secret, '[hidden]'), text);
}

/** A logger that writes JSON lines to stdout: level as a word, time in ISO 8601, and `fields` in every line. */
export function podLog(level: string, fields: Readonly<Record<string, string>>, secrets: readonly string[]): Logger {
  return pino({
    level,
    base: { ...fields },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    hooks: { streamWrite: secretRedactor(secrets) },
  });
}

/** A repeated message is logged once per minute. */
const REPEAT_MS = 60_000;

/** Logs errors and refusals of Redis, across all connections of the pod. */
export function redisLog(log: Logger): RedisListener {
  const throttle = new MessageThrottle(REPEAT_MS, 100);
  let isRefused = false;
  const logOnce = (level: 'warn' | 'info', message: string) => {
    if (throttle.admits(message)) log[level](message);
  };
  return {
    refused: (message) => {
      isRefused = true;
      logOnce('warn', message);
    },
    taken: () => {
      if (!isRefused) return;
      isRefused = false;
      throttle.forget();
      log.info('Redis accepts commands again');
    },
    waits: (message) => logOnce('info', message),
    failed: (error) => logOnce('info', `Redis: ${error.message}`),
  };
}
