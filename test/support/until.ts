import { setTimeout as sleep } from 'node:timers/promises';

const MAX_PAUSE_MS = 250;

/**
 * Polls until the answer is not null, and returns it.
 * @throws after this number of seconds, with `what` was awaited and, if given, the last `state`
 */
export async function until<T>(
  what: string,
  seconds: number,
  ask: () => T | null | Promise<T | null>,
  state?: () => unknown,
): Promise<T> {
  const end = performance.now() + seconds * 1000;
  for (let pauseMs = 10; ; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
    const answer = await ask();
    if (answer !== null) return answer;
    if (performance.now() > end)
      throw new Error(`${what}: not within ${seconds} s${state === undefined ? '' : `; last seen: ${shown(state())}`}`);
    await sleep(pauseMs);
  }
}

/** Of a long text, such as a log, the end is the most recent part. */
const SHOWN_CHARS = 4000;

function shown(state: unknown): string {
  const text = typeof state === 'string' ? state : (JSON.stringify(state) ?? String(state));
  return text.length > SHOWN_CHARS ? `…${text.slice(-SHOWN_CHARS)}` : text;
}
