import type { Logger } from 'pino';

/** Limit of logged errors in each period; all are counted. */
const MAX_LOGGED = 20;
const PERIOD_MS = 60_000;

/**
 * A handler of uncaught errors. An error caused by one job's objects, Redis or callers must not end the process for all
 * others. A replica that loses its lease or its port ends elsewhere.
 */
export function lastResort(
  log: Logger,
  count: () => void,
  now: () => number = () => performance.now(),
): (error: unknown) => void {
  let [begun, logged] = [now(), 0];
  return (error) => {
    count();
    if (now() - begun > PERIOD_MS) [begun, logged] = [now(), 0];
    logged++;
    if (logged <= MAX_LOGGED) log.error({ err: error }, 'uncaught error; the operator continues');
    if (logged === MAX_LOGGED) log.error(`further errors within ${PERIOD_MS / 1000} s are counted, not logged`);
  };
}
