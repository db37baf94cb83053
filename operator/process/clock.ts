/** Time as far as the operator waits for it; a test turns its own. */
export interface Clock {
  /** Milliseconds from a point that stays; never goes back. */
  now(): number;
  /** Calls back once, at the earliest after so many milliseconds; what it returns takes that back. */
  after(ms: number, callback: () => void): () => void;
}

/** The most that a timer of Node can wait; with more it would not wait at all. */
const LONGEST_MS = 2 ** 31 - 1;

/** The process's own time, whatever is done to the clock on the wall. A wait of more than 24 days ends early. */
export const monotonicClock: Clock = {
  now: () => performance.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, Math.min(ms, LONGEST_MS));
    return () => clearTimeout(timer);
  },
};
