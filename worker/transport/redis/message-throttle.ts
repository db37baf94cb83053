/**
 * Lets each message through at most once in `periodMs`, however often it comes, and remembers at most `capacity` of
 * them.
 */
export class MessageThrottle {
  readonly #periodMs: number;
  readonly #capacity: number;
  /** When each was let through. */
  readonly #passed = new Map<string, number>();

  constructor(periodMs: number, capacity: number) {
    this.#periodMs = periodMs;
    this.#capacity = capacity;
  }

  /** Whether to write the message now. */
  admits(message: string): boolean {
    const now = performance.now();
    if (now - (this.#passed.get(message) ?? -Infinity) < this.#periodMs) return false;
    // Messages may hold text from outside, of which there is no end.
    if (this.#passed.size >= this.#capacity) this.#passed.clear();
    this.#passed.set(message, now);
    return true;
  }

  forget(): void {
    this.#passed.clear();
  }
}
