import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { MessageThrottle } from '../../worker/transport/redis/message-throttle.ts';
import { UnsafeRedis } from '../redis/guard.ts';

/** After an invalid or oversized answer the operator waits before it reconnects, longer each time. */
const UNSAFE_DELAY_MS = 1_000;
const MAX_UNSAFE_DELAY_MS = 5 * 60_000;

/** The same error is logged again after this time. */
const LOG_AGAIN_MS = 10 * 60_000;

/** Logs errors of the connections to one Redis, and decides how long to wait before reconnecting. */
export class RedisTrouble {
  readonly #log: Logger;
  #unsafe = { times: 0, last: 0 };

  constructor(log: Logger) {
    this.#log = log;
  }

  /** @param connection its name in the log */
  listen(connection: string, redis: Redis): void {
    const throttle = new MessageThrottle(LOG_AGAIN_MS, 10);
    redis.on('error', (error: Error) => {
      const isUnsafe = error instanceof UnsafeRedis;
      if (isUnsafe) this.#unsafe = { times: this.#unsafe.times + 1, last: performance.now() };
      const { message } = error;
      if (throttle.admits(message))
        this.#log.warn(
          { connection, reason: message },
          isUnsafe ? 'Redis sent an invalid or oversized answer' : 'Redis does not answer',
        );
    });
  }

  /** Milliseconds to wait before reconnecting because of unsafe answers; 0: there were none recently. */
  delay(): number {
    const { times, last } = this.#unsafe;
    const delay = times === 0 ? 0 : Math.min(UNSAFE_DELAY_MS * 2 ** Math.min(times, 20), MAX_UNSAFE_DELAY_MS);
    if (performance.now() - last > delay + MAX_UNSAFE_DELAY_MS) this.#unsafe = { times: 0, last: 0 };
    return this.#unsafe.times === 0 ? 0 : delay;
  }
}
