/** The operator's source of time. Tests use their own. */
export interface Clock {
  /** Monotonic milliseconds from a fixed point. */
  now(): number;
  /** Calls back once, after at least so many milliseconds; the returned function cancels it. */
  after(ms: number, callback: () => void): () => void;
}

/** The longest delay of Node's timers; a longer one would fire at once. */
const MAX_DELAY_MS = 2 ** 31 - 1;

/** The process's monotonic time, independent of the wall clock. A wait of more than 24 days ends early. */
export const monotonicClock: Clock = {
  now: () => performance.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, Math.min(ms, MAX_DELAY_MS));
    return () => clearTimeout(timer);
  },
};
