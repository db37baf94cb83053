import type { RunEvent } from '../../crds/facts/events.ts';
import type { Clock } from '../../worker/federation/clock.ts';

/** A clock whose deadlines pass when the test says so. */
export function manualClock(): Clock & { readonly pass: () => void; readonly asked: readonly number[] } {
  let current = new AbortController();
  const asked: number[] = [];
  const deadline = (seconds: number) => {
    asked.push(seconds);
    current = new AbortController();
    return { signal: current.signal, cancel: () => {} };
  };
  return { asked, now: () => 0, deadline, pass: () => current.abort() };
}

/** Lets the deadline pass once `count` clients have reported in an attempt at a round, from a round on. */
export function passAfter(
  count: number,
  clock: ReturnType<typeof manualClock>,
  fromRound = 1,
): (event: RunEvent) => void {
  let reported = 0;
  return (event) => {
    if (event.event === 'phase' && event.phase === 'local') reported = 0;
    if (event.event !== 'client' || event.outcome !== 'reported') return;
    if (++reported === count && event.round >= fromRound) clock.pass();
  };
}
