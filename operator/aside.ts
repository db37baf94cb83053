import type { Logger } from 'pino';

/** Does what nobody waits for: in a listener, in a timer, beside other work. What it throws, or rejects with, is told and stops nothing else. */
export function aside(log: Logger, work: () => void | Promise<void>): void {
  const tell = (error: unknown) => log.error({ err: error }, 'background work failed');
  try {
    work()?.catch(tell);
  } catch (error) {
    tell(error);
  }
}
