import type { Logger } from 'pino';

/** Told at most within a period; all are counted. */
const MOST_TOLD = 20;
const PERIOD_MS = 60_000;

/**
 * What to do with errors that nobody caught: nothing that one job's objects, Redis or callers make this process throw may end it for all
 * others. What a replica cannot go on without – its lease, the port it listens on – ends it by itself, not by an error that comes here.
 */
export function lastResort(log: Logger, count: () => void, now: () => number = () => performance.now()): (error: unknown) => void {
  let [begun, told] = [now(), 0];
  return (error) => {
    count();
    if (now() - begun > PERIOD_MS) [begun, told] = [now(), 0];
    told++;
    if (told <= MOST_TOLD) log.error({ err: error }, 'uncaught error; the operator continues');
    if (told === MOST_TOLD) log.error(`more of them within ${PERIOD_MS / 1000} s are counted, not told`);
  };
}
