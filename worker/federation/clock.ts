/** Time as the coordinator sees it; tests bring their own. */
export interface Clock {
  /** Seconds since some moment. */
  now(): number;
  /**
   * A signal that aborts in `seconds`, or never when they are 0. Whoever asked for it cancels it when it is of no more
   * use.
   */
  deadline(seconds: number): { readonly signal: AbortSignal; cancel(): void };
}

/** A timer takes 31 bits of milliseconds, 24 days; a longer one would fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => performance.now() / 1000,
  deadline: (seconds) => {
    const controller = new AbortController();
    if (seconds === 0) return { signal: controller.signal, cancel: () => {} };
    const timer = setTimeout(() => controller.abort(), Math.min(seconds * 1000, LONGEST_TIMER_MS));
    return { signal: controller.signal, cancel: () => clearTimeout(timer) };
  },
};
