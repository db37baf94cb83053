import type { Logger } from 'pino';

/** At most so many are logged within a period; all are counted. */
const MOST_TOLD = 20;
const PERIOD_MS = 60_000;

/**
 * A handler of uncaught errors. An error caused by one job's objects, Redis or callers must not end the process for all
 * others. A replica without its lease or its port ends by other means than an error that comes here.
 */
export function lastResort(
  log: Logger,
  count: () => void,
  now: () => number = () => performance.now(),
): (error: unknown) => void {
  let [begun, told] = [now(), 0];
  return (error) => {
    count();
    if (now() - begun > PERIOD_MS) [begun, told] = [now(), 0];
    told++;
    if (told <= MOST_TOLD) log.error({ err: error }, 'uncaught error; the operator continues');
    if (told === MOST_TOLD) log.error(`more of them within ${PERIOD_MS / 1000} s are counted, not told`);
  };
}
