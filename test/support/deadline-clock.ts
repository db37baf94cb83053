import type { RunEvent } from '../../crds/facts/events.ts';
import type { Clock } from '../../worker/federation/clock.ts';

/** A clock whose deadlines the test controls. */
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

/** From `fromRound` on, the deadline of an attempt passes once `count` clients have reported. */
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
