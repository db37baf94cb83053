import type { Clock } from '../../operator/process/clock.ts';

interface Timer {
  readonly due: number;
  readonly callback: () => void;
}

/** A clock that a test advances. */
export class ManualClock implements Clock {
  #now = 0;
  readonly #timers = new Set<Timer>();

  now(): number {
    return this.#now;
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { due: this.#now + Math.max(0, ms), callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Whether nothing waits for the clock. */
  get idle(): boolean {
    return this.#timers.size === 0;
  }

  /** Advances the clock. Due callbacks run in order, each followed by everything that it causes. */
  async turn(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settled();
    for (let next = this.#next(end); next !== null; next = this.#next(end)) {
      this.#now = Math.max(this.#now, next.due);
      this.#timers.delete(next);
      next.callback();
      await settled();
    }
    this.#now = end;
  }

  /** Advances the clock as for a suspended process: due callbacks do not run. */
  sleep(ms: number): void {
    this.#now += ms;
  }

  #next(end: number): Timer | null {
    let next: Timer | null = null;
    for (const timer of this.#timers) if (timer.due <= end && (next === null || timer.due < next.due)) next = timer;
    return next;
  }
}

/** Lets all pending promises settle. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
