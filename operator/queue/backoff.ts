import { TokenBucket } from './token-bucket.ts';

/**
 * As in client-go: a key's first retry is soon, and each further one waits twice as long; all keys together retry ten
 * times per second, here separately for each namespace.
 */
const FIRST_MS = 5;
const MAX_DELAY_MS = 1_000_000;
const OVERALL = { perSecond: 10, burst: 100 };

/** How long failed keys wait. Failures in one namespace do not delay the keys of others. */
export class Backoff {
  readonly #failures = new Map<string, number>();
  readonly #overall = new Map<string, TokenBucket>();

  /** The key has failed again; returns the milliseconds until its retry. */
  next(key: string, now: number): number {
    const before = this.#failures.get(key) ?? 0;
    this.#failures.set(key, before + 1);
    return Math.max(Math.min(FIRST_MS * 2 ** before, MAX_DELAY_MS), this.#bucketOf(key, now).take(now));
  }

  /** The key has succeeded; its next failure counts as the first. */
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

/** The namespace of a key `namespace/name`. */
export const namespaceOf = (key: string): string => key.slice(0, Math.max(0, key.indexOf('/')));
