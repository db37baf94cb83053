import type { Logger } from 'pino';
import type { RedisListener } from '../../transport/redis/patience.ts';

/** One line a minute of each thing that Redis says again and again. */
const QUIET_MS = 60_000;

/** Tells the log how Redis takes the pod's commands, on all its connections together. */
export function redisLog(log: Logger): RedisListener {
  const told = new Map<string, number>();
  let isRefused = false;
  const tell = (level: 'warn' | 'info', message: string) => {
    const last = told.get(message);
    if (last !== undefined && performance.now() - last < QUIET_MS) return;
    // Few are ever different; whatever Redis answers, the memory holds no more.
    if (told.size >= 100) told.clear();
    told.set(message, performance.now());
    log[level](message);
  };
  return {
    refused: (message) => {
      isRefused = true;
      tell('warn', message);
    },
    taken: () => {
      if (!isRefused) return;
      isRefused = false;
      told.clear();
      log.info('Redis takes commands again');
    },
    failed: (error) => tell('info', `Redis: ${error.message}`),
  };
}
