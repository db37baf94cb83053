/** The coordinator's clock. Tests replace it. */
export interface Clock {
  /** Seconds from an arbitrary origin. */
  now(): number;
  /**
   * A signal that aborts after `seconds`, or never if `seconds` is 0. The caller cancels it when it is no longer
   * needed.
   */
  deadline(seconds: number): { readonly signal: AbortSignal; cancel(): void };
}

/** A timer takes at most 2³¹ − 1 milliseconds, 24 days; a longer one fires at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => performance.now() / 1000,
  deadline: (seconds) => {
    const controller = new AbortController();
    if (seconds === 0) return { signal: controller.signal, cancel: () => {} };
    const timer = setTimeout(() => controller.abort(), Math.min(seconds * 1000, MAX_TIMER_MS));
    return { signal: controller.signal, cancel: () => clearTimeout(timer) };
  },
};
