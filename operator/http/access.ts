import { createHash } from 'node:crypto';

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

export type Verdict = 'allowed' | 'unauthenticated' | 'forbidden';

/** How long an answer holds: a token that was revoked is good for that much longer. */
const HOLDS_MS = 10_000;

/** Answers kept; the oldest give way, so that made-up tokens cannot fill the memory. */
const MOST_ANSWERS = 1000;

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

  constructor(reviews: Reviews, now: () => number = Date.now) {
    this.#reviews = reviews;
    this.#now = now;
  }

  /** `authorization`: the request's header. Throws what the API server throws; that is not kept. */
  decide(authorization: string | undefined, question: Question): Promise<Verdict> {
    const token = /^Bearer +([\x21-\x7e]+)$/i.exec(authorization ?? '')?.[1];
    if (token === undefined || token.length > MAX_TOKEN_BYTES) return Promise.resolve('unauthenticated');
    // By its hash: the memory holds no tokens.
    const key = createHash('sha256').update(JSON.stringify([token, question])).digest('base64');
    const kept = this.#answers.get(key);
    if (kept !== undefined && kept.until > this.#now()) return kept.verdict;
    const verdict = this.#ask(token, question);
    this.#keep(key, verdict);
    return verdict;
  }

  async #ask(token: string, question: Question): Promise<Verdict> {
    const identity = await this.#reviews.identify(token);
    if (identity === null) return 'unauthenticated';
    return (await this.#reviews.isAllowed(identity, question)) ? 'allowed' : 'forbidden';
  }

  #keep(key: string, verdict: Promise<Verdict>): void {
    const kept = { verdict, until: this.#now() + HOLDS_MS };
    this.#answers.delete(key);
    this.#answers.set(key, kept);
    const oldest = this.#answers.keys().next();
    if (this.#answers.size > MOST_ANSWERS && !oldest.done) this.#answers.delete(oldest.value);
    verdict.catch(() => {
      if (this.#answers.get(key) === kept) this.#answers.delete(key);
    });
  }
}
