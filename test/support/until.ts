import { setTimeout as sleep } from 'node:timers/promises';

/** Asks again until the answer is not null; throws, with `what` was awaited, after so many seconds. */
export async function until<T>(what: string, seconds: number, ask: () => T | null | Promise<T | null>): Promise<T> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const answer = await ask();
    if (answer !== null) return answer;
    if (performance.now() > end) throw new Error(`${what}: not within ${seconds} s`);
    await sleep(250);
  }
}
