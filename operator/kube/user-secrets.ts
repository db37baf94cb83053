import type { Logger } from 'pino';
import Type from 'typebox';
import Value from 'typebox/value';
import { decodeSecret } from '../objects/secret-data.ts';
import type { ApiClient } from './api-client.ts';
import { CODE, isApiError } from './api-error.ts';
import { objectPath, RESOURCE } from '../objects/resources.ts';

/** How long a value is cached: the correction of a Secret takes effect after up to this time. */
const HOLDS_MS = 30_000;

/** Number of cached values; the oldest are evicted. */
const MAX_CACHED = 1000;

/** Limit in characters of base64, for a URL or CA certificates. Other keys of a Secret are not kept. */
const MAX_VALUE = 64 * 1024;

const Secret = Type.Object({ data: Type.Optional(Type.Record(Type.String(), Type.String())) });

interface Kept {
  readonly value: Promise<string | null>;
  readonly until: number;
}

/** Secrets that users created for their jobs. They are not watched: the operator must not read other Secrets. */
export class UserSecrets {
  readonly #client: ApiClient;
  readonly #log: Logger;
  readonly #kept = new Map<string, Kept>();

  constructor(client: ApiClient, log: Logger) {
    this.#client = client;
    this.#log = log;
  }

  /**
   * The text under a key; null: there is none, the permission is missing, or it is too long. Rejects with other errors
   * of the API server.
   */
  read(namespace: string, name: string, key: string): Promise<string | null> {
    const path = objectPath(RESOURCE.secret, namespace, name);
    const place = `${path}#${key}`;
    const now = performance.now();
    const kept = this.#kept.get(place);
    if (kept !== undefined && kept.until > now) return kept.value;
    const fresh: Kept = { value: this.#fetch(path, namespace, name, key), until: now + HOLDS_MS };
    this.#kept.delete(place);
    this.#kept.set(place, fresh);
    const oldest = this.#kept.keys().next();
    if (this.#kept.size > MAX_CACHED && !oldest.done) this.#kept.delete(oldest.value);
    fresh.value.catch(() => {
      if (this.#kept.get(place) === fresh) this.#kept.delete(place);
    });
    return fresh.value;
  }

  async #fetch(path: string, namespace: string, secret: string, key: string): Kept['value'] {
    try {
      const answer = await this.#client.json('GET', path);
      const data = Value.Check(Secret, answer) ? (answer.data ?? {}) : {};
      const encoded = Object.hasOwn(data, key) ? data[key] : undefined;
      if (encoded === undefined) return null;
      if (encoded.length <= MAX_VALUE) return decodeSecret(encoded);
      this.#log.warn({ namespace, secret, key }, 'the value that a job names in a Secret is too long, and is ignored');
      return null;
    } catch (error) {
      if (!isApiError(error, CODE.notFound, CODE.forbidden)) throw error;
      this.#log.warn({ namespace, secret, code: error.code }, 'a Secret that a job names cannot be read');
      return null;
    }
  }
}
