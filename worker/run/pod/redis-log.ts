import type { Logger } from 'pino';
import { MessageThrottle } from '../../transport/redis/message-throttle.ts';
import type { RedisListener } from '../../transport/redis/patience.ts';

/** One line a minute of each thing that Redis says again and again. */
const QUIET_MS = 60_000;

/** Tells the log how Redis takes the pod's commands, on all its connections together. */
export function redisLog(log: Logger): RedisListener {
  const throttle = new MessageThrottle(QUIET_MS, 100);
  let isRefused = false;
  const tell = (level: 'warn' | 'info', message: string) => {
    if (throttle.admits(message)) log[level](message);
  };
  return {
    refused: (message) => {
      isRefused = true;
      tell('warn', message);
    },
    taken: () => {
      if (!isRefused) return;
      isRefused = false;
      throttle.forget();
      log.info('Redis takes commands again');
    },
    failed: (error) => tell('info', `Redis: ${error.message}`),
  };
}
