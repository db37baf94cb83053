import { setTimeout as delay } from 'node:timers/promises';

/**
 * Writes the newest of a stream of values: one write at a time, none sooner than a while after the one before. What is
 * overtaken is left out; what was told last is written in the end.
 */
export class Feed<T> {
  readonly #write: (value: T) => Promise<void>;
  readonly #pauseMs: number;
  readonly #onError: (error: unknown) => void;
  readonly #hurry = new AbortController();
  #next: { readonly value: T } | null = null;
  #running: Promise<void> | null = null;

  /** @param onError hears of a write that failed; it is tried again, unless a newer value takes its place */
  constructor(write: (value: T) => Promise<void>, pauseMs: number, onError: (error: unknown) => void) {
    this.#write = write;
    this.#pauseMs = pauseMs;
    this.#onError = onError;
  }

  tell(value: T): void {
    this.#next = { value };
    this.#running ??= this.#run();
  }

  /** Writes what was told last, without another pause before it. Nothing may be told after it. */
  async settle(): Promise<void> {
    this.#hurry.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#next !== null) {
      const told = this.#next;
      this.#next = null;
      try {
        await this.#write(told.value);
      } catch (error) {
        this.#onError(error);
        // The last chance was taken.
        if (this.#hurry.signal.aborted) break;
        this.#next ??= told;
      }
      await delay(this.#pauseMs, undefined, { signal: this.#hurry.signal }).catch(() => undefined);
    }
    this.#running = null;
  }
}
