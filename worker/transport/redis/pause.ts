import { setTimeout as sleep } from 'node:timers/promises';

const FIRST_MS = 10;
const LONGEST_MS = 250;

/** The waits of whoever polls: short at first, longer once nothing has come for a while; `signal` ends each. */
export function poller(signal: AbortSignal): () => Promise<void> {
  let ms = FIRST_MS;
  return async () => {
    await sleep(ms, undefined, { signal }).catch(() => undefined);
    ms = Math.min(2 * ms, LONGEST_MS);
  };
}
