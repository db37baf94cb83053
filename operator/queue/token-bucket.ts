/** Lets `burst` go at once, and after that so many a second; the rest wait their turn. */
export class TokenBucket {
  readonly #perMs: number;
  readonly #burst: number;
  #tokens: number;
  #at: number | null = null;

  constructor({ perSecond, burst }: { readonly perSecond: number; readonly burst: number }) {
    this.#perMs = perSecond / 1000;
    this.#burst = burst;
    this.#tokens = burst;
  }

  /** Whether it is as one that nothing was taken of. */
  isFull(now: number): boolean {
    return this.#left(now) >= this.#burst;
  }

  /** Takes a token; the milliseconds until it may be used. What waits already has its place before it. */
  take(now: number): number {
    this.#tokens = this.#left(now) - 1;
    this.#at = now;
    return this.#tokens >= 0 ? 0 : -this.#tokens / this.#perMs;
  }

  #left(now: number): number {
    const passed = this.#at === null ? 0 : now - this.#at;
    return Math.min(this.#burst, this.#tokens + passed * this.#perMs);
  }
}
