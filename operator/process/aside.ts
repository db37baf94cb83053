import type { Logger } from 'pino';

/**
 * Runs work that is not awaited, for example in a listener or a timer. Errors are logged and stop nothing else. Work of
 * type `() => void` may return any value, which is ignored.
 */
export function aside(log: Logger, work: () => void | Promise<void>): void {
  const report = (error: unknown) => log.error({ err: error }, 'background work failed');
  try {
    Promise.resolve(work()).catch(report);
  } catch (error) {
    report(error);
  }
}
