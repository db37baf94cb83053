/** A rate limit: `burst` at once, then `perSecond`; the rest wait in turn. */
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

  /** Whether it has all its tokens. */
  isFull(now: number): boolean {
    return this.#left(now) >= this.#burst;
  }

  /** Takes a token; returns the milliseconds until it may be used, after those taken before it. */
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
