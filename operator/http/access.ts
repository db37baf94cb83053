import { sha256 } from '../../worker/files/sha256.ts';
import { Allowance } from './allowance.ts';

/** Who a bearer token belongs to, as TokenReview tells. */
export interface Identity {
  readonly username: string;
  readonly uid?: string;
  readonly groups?: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** Whether jobs may be read. */
export interface JobQuestion {
  readonly verb: 'get' | 'list';
  /** null: in all namespaces. */
  readonly namespace: string | null;
  /** null: any job. */
  readonly name: string | null;
}

/** Whether a URL that is no resource's may be read. */
export interface UrlQuestion {
  readonly url: string;
}

export type Question = JobQuestion | UrlQuestion;

/** What is asked of the API server: TokenReview, and SubjectAccessReview on fedbiotjobs.fedbiot.io or a URL. */
export interface Reviews {
  /** null: the token is nobody's. */
  identify(token: string): Promise<Identity | null>;
  isAllowed(identity: Identity, question: Question): Promise<boolean>;
}

/** `busy`: the API server is not asked again within this second. */
export type Verdict = 'allowed' | 'unauthenticated' | 'forbidden' | 'busy';

/** How long an answer holds: a token that was revoked is good for that much longer. */
const HOLDS_MS = 10_000;

/** Answers kept; the oldest give way, so that made-up tokens cannot fill the memory. */
const MOST_ANSWERS = 1000;

/** How long a token that was valid counts as known. */
const GOOD_MS = 600_000;

/** Questions to the API server in a second about unknown tokens: from one address, and from all. */
const STRANGERS = [10, 50] as const;

/** The same about known tokens: about one, and about all. */
const KNOWN = [50, 500] as const;

/** Longer than any token of Kubernetes; nothing longer is hashed or sent on. */
const MAX_TOKEN_BYTES = 16 * 1024;

interface Kept {
  readonly verdict: Promise<Verdict>;
  readonly until: number;
}

/** Decides what a caller may read, as the API server would. `now`: milliseconds. */
export class Access {
  readonly #reviews: Reviews;
  readonly #now: () => number;
  readonly #answers = new Map<string, Kept>();
  /** Tokens that were valid, by their hash, and until when they count as known. */
  readonly #good = new Map<string, number>();
  readonly #strangers = new Allowance(...STRANGERS);
  readonly #known = new Allowance(...KNOWN);

  constructor(reviews: Reviews, now: () => number = Date.now) {
    this.#reviews = reviews;
    this.#now = now;
  }

  /**
   * `authorization`: the request's header; `address`: where it comes from. Invented tokens are refused from memory, or
   * as busy, without asking the API server; known tokens have an allowance of their own. Throws what the API server
   * throws; that is not kept.
   */
  decide(authorization: string | undefined, question: Question, address: string): Promise<Verdict> {
    const token = /^Bearer +([\x21-\x7e]+)$/i.exec(authorization ?? '')?.[1];
    if (token === undefined || token.length > MAX_TOKEN_BYTES) return Promise.resolve('unauthenticated');
    // By its hash: the memory holds no tokens.
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
  if (map.size > MOST_ANSWERS && !oldest.done) map.delete(oldest.value);
}
