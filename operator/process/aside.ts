import type { Logger } from 'pino';

/**
 * Runs work that is not awaited: in a listener, in a timer, beside other work. An error is logged and stops nothing
 * else.
 */
export function aside(log: Logger, work: () => void | Promise<void>): void {
  const tell = (error: unknown) => log.error({ err: error }, 'background work failed');
  try {
    work()?.catch(tell);
  } catch (error) {
    tell(error);
  }
}
