import { namespaceOf } from './namespace-of.ts';
import { TokenBucket } from './token-bucket.ts';

/**
 * client-go's: a key's first retry is soon, each further one twice as late; and all keys together retry ten times a
 * second: here those of a namespace.
 */
const FIRST_MS = 5;
const LONGEST_MS = 1_000_000;
const OVERALL = { perSecond: 10, burst: 100 };

/** How long keys wait that failed. However many fail in one namespace, those of others do not wait for them. */
export class Backoff {
  readonly #failures = new Map<string, number>();
  readonly #overall = new Map<string, TokenBucket>();

  /** The key has failed again: milliseconds until it is to be tried. */
  next(key: string, now: number): number {
    const before = this.#failures.get(key) ?? 0;
    this.#failures.set(key, before + 1);
    return Math.max(Math.min(FIRST_MS * 2 ** before, LONGEST_MS), this.#bucketOf(key, now).take(now));
  }

  /** The key has succeeded: its next failure is its first. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  #bucketOf(key: string, now: number): TokenBucket {
    const namespace = namespaceOf(key);
    const known = this.#overall.get(namespace);
    if (known !== undefined) return known;
    for (const [other, bucket] of this.#overall) if (bucket.isFull(now)) this.#overall.delete(other);
    const bucket = new TokenBucket(OVERALL);
    this.#overall.set(namespace, bucket);
    return bucket;
  }
}
