/**
 * Admits each message at most once per `periodMs`, and remembers at most `capacity` messages.
 */
export class MessageThrottle {
  readonly #periodMs: number;
  readonly #capacity: number;
  /** When each message was last admitted. */
  readonly #passed = new Map<string, number>();

  constructor(periodMs: number, capacity: number) {
    this.#periodMs = periodMs;
    this.#capacity = capacity;
  }

  /** Whether to write the message now. */
  admits(message: string): boolean {
    const now = performance.now();
    if (now - (this.#passed.get(message) ?? -Infinity) < this.#periodMs) return false;
    // Messages may contain text from outside, so their number is unbounded.
    if (this.#passed.size >= this.#capacity) this.#passed.clear();
    this.#passed.set(message, now);
    return true;
  }

  forget(): void {
    this.#passed.clear();
  }
}
