import { sha256 } from '../../worker/files/sha256.ts';
import { Allowance } from './allowance.ts';

/** The user of a bearer token, as TokenReview returns it. */
export interface Identity {
  readonly username: string;
  readonly uid?: string;
  readonly groups?: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** Asks whether jobs may be read. */
export interface JobQuestion {
  readonly verb: 'get' | 'list';
  /** null: in all namespaces. */
  readonly namespace: string | null;
  /** null: any job. */
  readonly name: string | null;
}

/** Asks whether a nonresource URL may be read. */
export interface UrlQuestion {
  readonly url: string;
}

export type Question = JobQuestion | UrlQuestion;

/** Reviews by the API server: TokenReview, and SubjectAccessReview on fedbiotjobs.fedbiot.io or a URL. */
export interface Reviews {
  /** null: the token is not valid. */
  identify(token: string): Promise<Identity | null>;
  isAllowed(identity: Identity, question: Question): Promise<boolean>;
}

/** `busy`: the limit of reviews per second is reached. */
export type Verdict = 'allowed' | 'unauthenticated' | 'forbidden' | 'busy';

/** How long a verdict is cached: a revoked token stays valid for up to this time. */
const HOLDS_MS = 10_000;

/** Size of the caches. The oldest entries are evicted, so that invented tokens cannot fill the memory. */
const MAX_CACHED = 1000;

/** How long a valid token counts as known. */
const GOOD_MS = 600_000;

/** Reviews of unknown tokens per second: from one address, and in total. */
const STRANGERS = [10, 50] as const;

/** Reviews of known tokens per second: of one token, and in total. */
const KNOWN = [50, 500] as const;

/** Kubernetes has no longer tokens; a longer one is neither hashed nor reviewed. */
const MAX_TOKEN_BYTES = 16 * 1024;

interface Kept {
  readonly verdict: Promise<Verdict>;
  readonly until: number;
}

/** Decides what a caller may read, by the API server's permissions. `now`: milliseconds. */
export class Access {
  readonly #reviews: Reviews;
  readonly #now: () => number;
  readonly #answers = new Map<string, Kept>();
  /** Hashes of valid tokens, and until when each counts as known. */
  readonly #good = new Map<string, number>();
  readonly #strangers = new Allowance(...STRANGERS);
  readonly #known = new Allowance(...KNOWN);

  constructor(reviews: Reviews, now: () => number = Date.now) {
    this.#reviews = reviews;
    this.#now = now;
  }

  /**
   * `authorization`: the request's header; `address`: the caller's. Invented tokens are refused from the cache, or as
   * busy, without a request to the API server; known tokens have a separate limit. Errors of the API server are passed
   * on and not cached.
   */
  decide(authorization: string | undefined, question: Question, address: string): Promise<Verdict> {
    const token = /^Bearer +([\x21-\x7e]+)$/i.exec(authorization ?? '')?.[1];
    if (token === undefined || token.length > MAX_TOKEN_BYTES) return Promise.resolve('unauthenticated');
    // Only the hash is stored: memory holds no tokens.
    const hash = sha256(token);
    const key = sha256(JSON.stringify([token, question]));
    const kept = this.#answers.get(key);
    if (kept !== undefined && kept.until > this.#now()) return kept.verdict;
    const now = this.#now();
    const isKnown = (this.#good.get(hash) ?? 0) > now;
    if (!(isKnown ? this.#known.take(hash, now) : this.#strangers.take(address, now))) return Promise.resolve('busy');
    const verdict = this.#ask(token, hash, question);
    this.#keep(key, verdict);
    return verdict;
  }

  async #ask(token: string, hash: string, question: Question): Promise<Verdict> {
    const identity = await this.#reviews.identify(token);
    this.#good.delete(hash);
    if (identity === null) return 'unauthenticated';
    this.#good.set(hash, this.#now() + GOOD_MS);
    dropOldest(this.#good);
    return (await this.#reviews.isAllowed(identity, question)) ? 'allowed' : 'forbidden';
  }

  #keep(key: string, verdict: Promise<Verdict>): void {
    const kept = { verdict, until: this.#now() + HOLDS_MS };
    this.#answers.delete(key);
    this.#answers.set(key, kept);
    dropOldest(this.#answers);
    verdict.catch(() => {
      if (this.#answers.get(key) === kept) this.#answers.delete(key);
    });
  }
}

function dropOldest(map: Map<string, unknown>): void {
  const oldest = map.keys().next();
  if (map.size > MAX_CACHED && !oldest.done) map.delete(oldest.value);
}
