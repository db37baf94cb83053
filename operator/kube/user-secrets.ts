import type { Logger } from 'pino';
import Type from 'typebox';
import Value from 'typebox/value';
import type { ApiClient } from './api-client.ts';
import { CODE, isApiError } from './api-error.ts';
import { objectPath, RESOURCE } from './resources.ts';

/** How long what was read holds: a Secret that the user corrects is seen that much later. */
const HOLDS_MS = 30_000;

/** Kept at most; jobs that share a Redis share its Secret. */
const MOST = 1000;

const Secret = Type.Object({ data: Type.Optional(Type.Record(Type.String(), Type.String())) });

interface Kept {
  readonly data: Promise<Readonly<Record<string, string>> | null>;
  readonly until: number;
}

/** Secrets that users made for their jobs: not watched, as the operator has no business with the others beside them. */
export class UserSecrets {
  readonly #client: ApiClient;
  readonly #log: Logger;
  readonly #kept = new Map<string, Kept>();

  constructor(client: ApiClient, log: Logger) {
    this.#client = client;
    this.#log = log;
  }

  /** The text under a key; null: there is none, or it may not be read. @throws what kept the API server from answering */
  async read(namespace: string, name: string, key: string): Promise<string | null> {
    const data = await this.#data(namespace, name);
    const encoded = data?.[key];
    return encoded === undefined ? null : Buffer.from(encoded, 'base64').toString('utf8');
  }

  #data(namespace: string, name: string): Kept['data'] {
    const path = objectPath(RESOURCE.secret, namespace, name);
    const now = performance.now();
    const kept = this.#kept.get(path);
    if (kept !== undefined && kept.until > now) return kept.data;
    const fresh: Kept = { data: this.#fetch(path, namespace, name), until: now + HOLDS_MS };
    this.#kept.delete(path);
    this.#kept.set(path, fresh);
    const oldest = this.#kept.keys().next();
    if (this.#kept.size > MOST && !oldest.done) this.#kept.delete(oldest.value);
    fresh.data.catch(() => {
      if (this.#kept.get(path) === fresh) this.#kept.delete(path);
    });
    return fresh.data;
  }

  async #fetch(path: string, namespace: string, secret: string): Kept['data'] {
    try {
      const answer = await this.#client.json('GET', path);
      return Value.Check(Secret, answer) ? (answer.data ?? {}) : null;
    } catch (error) {
      if (!isApiError(error, CODE.notFound, CODE.forbidden)) throw error;
      this.#log.warn({ namespace, secret, code: error.code }, 'a Secret that a job names cannot be read');
      return null;
    }
  }
}
