import { setTimeout as delay } from 'node:timers/promises';

/**
 * Writes the latest of a stream of values, one write at a time, with a pause between writes. Values that are superseded
 * before they are written are skipped; the last value is always written.
 */
export class LatestWriter<T> {
  readonly #write: (value: T) => Promise<void>;
  readonly #pauseMs: number;
  readonly #onError: (error: unknown) => void;
  readonly #hurry = new AbortController();
  #next: { readonly value: T } | null = null;
  #running: Promise<void> | null = null;

  /** @param onError receives the error of a failed write, which is retried unless a newer value supersedes it */
  constructor(write: (value: T) => Promise<void>, pauseMs: number, onError: (error: unknown) => void) {
    this.#write = write;
    this.#pauseMs = pauseMs;
    this.#onError = onError;
  }

  put(value: T): void {
    this.#next = { value };
    this.#running ??= this.#run();
  }

  /** Writes the last value without another pause. No value may be added afterwards. */
  async settle(): Promise<void> {
    this.#hurry.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#next !== null) {
      const current = this.#next;
      this.#next = null;
      try {
        await this.#write(current.value);
      } catch (error) {
        this.#onError(error);
        // After `settle`, a failed write is not retried.
        if (this.#hurry.signal.aborted) break;
        this.#next ??= current;
      }
      await delay(this.#pauseMs, undefined, { signal: this.#hurry.signal }).catch(() => undefined);
    }
    this.#running = null;
  }
}
