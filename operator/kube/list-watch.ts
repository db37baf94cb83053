import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import Type from 'typebox';
import Value from 'typebox/value';
import { errorMessage } from '../../crds/facts/user-error.ts';
import { aside } from '../process/aside.ts';
import type { ApiClient } from './api-client.ts';
import { ApiError, CODE, isApiError, readStatus } from './api-error.ts';
import { Unreadable } from './lines.ts';
import { readMetadata } from './read-object.ts';
import type { Metadata, Read } from './read-object.ts';
import { watchStream } from './watch-stream.ts';
import type { WatchEvent } from './watch-stream.ts';

export interface WatchTimes {
  /** After which the API server ends a watch; a little more or less, so that not all end at once. */
  readonly watchSeconds: number;
  /** How much longer than that a connection may be silent. */
  readonly marginMs: number;
  /** Pause after the first failure; doubled with each that follows. */
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
}

export const WATCH_TIMES: WatchTimes = {
  watchSeconds: 180,
  marginMs: 15_000,
  firstPauseMs: 500,
  longestPauseMs: 30_000,
};

export interface ListWatchSettings<T> {
  readonly client: ApiClient;
  /** Path of the collection. */
  readonly path: string;
  readonly labelSelector?: string;
  readonly read: Read<T>;
  readonly log: Logger;
  readonly times: WatchTimes;
  readonly pageSize?: number;
  /** All that exists; `unreadable`: metadata of skipped objects, as far as they have it. */
  replace(objects: readonly T[], unreadable: readonly Metadata[]): void;
  put(object: T): void;
  /** It is gone, or `unreadable`: it exists and is skipped. */
  drop(metadata: Metadata, unreadable: boolean): void;
  /** Watching begins anew after something went wrong; not when the API server has ended a watch in its time. */
  restarted(): void;
}

/** An object has 1.5 MiB at most, and a page of the largest must not fill the memory. */
const PAGE_SIZE = 100;

/** etcd takes objects of 1.5 MiB at most; JSON may write them longer. */
const MAX_LINE_BYTES = 16 * 1024 * 1024;

/** A watch that ends sooner, and told nothing, was none. */
const SHORT_MS = 1_000;

const List = Type.Object({
  metadata: Type.Object({ resourceVersion: Type.String(), continue: Type.Optional(Type.String()) }),
  items: Type.Array(Type.Unknown()),
});

/**
 * Tells what a collection holds, and goes on telling what becomes of it, whatever happens to the API server and the
 * connection: list, watch from there, list again only where the API server has forgotten what came since. Never throws.
 */
export class ListWatch<T> {
  readonly #settings: ListWatchSettings<T>;
  readonly #stop = new AbortController();
  /** Up to where everything is known; null: a list is needed. */
  #version: string | null = null;
  #hasListed = false;
  /** Heard so far. */
  #events = 0;
  #ended: Promise<void> = Promise.resolve();

  constructor(settings: ListWatchSettings<T>) {
    this.#settings = settings;
  }

  get hasListed(): boolean {
    return this.#hasListed;
  }

  start(): void {
    this.#ended = this.#run();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }

  async #run(): Promise<void> {
    const { log, times } = this.#settings;
    for (let failures = 0; !this.#stop.signal.aborted;) {
      const began = performance.now();
      const before = this.#events;
      try {
        this.#version ??= await this.#list();
        await this.#watch(this.#version);
        failures = this.#events > before || performance.now() - began >= SHORT_MS ? 0 : failures + 1;
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        failures = this.#events > before ? 1 : failures + 1;
        if (needsList(error)) this.#version = null;
        log.warn({ reason: errorMessage(error), failures }, 'watch interrupted');
      }
      if (failures === 0) continue;
      aside(log, () => this.#settings.restarted());
      await sleep(pauseMs(failures, times), undefined, { signal: this.#stop.signal }).catch(() => undefined);
    }
  }

  /** Tells all that exists; the version from which on to watch. */
  async #list(): Promise<string> {
    const { found, unreadable, version } = await this.#pages().catch((error: unknown) => {
      // The list was so long that its beginning has been forgotten: all at once, then.
      if (isApiError(error, CODE.gone)) return this.#pages(0);
      throw error;
    });
    this.#settings.replace(found, unreadable);
    this.#hasListed = true;
    return version;
  }

  /** `size` 0: no pages. */
  async #pages(
    size = this.#settings.pageSize ?? PAGE_SIZE,
  ): Promise<{ readonly found: T[]; readonly unreadable: Metadata[]; readonly version: string }> {
    const { client, path, labelSelector } = this.#settings;
    const found: T[] = [];
    const unreadable: Metadata[] = [];
    let next: string | undefined;
    for (;;) {
      const query = {
        ...(labelSelector === undefined ? {} : { labelSelector }),
        ...(size === 0 ? {} : { limit: size }),
        ...(next === undefined ? {} : { continue: next }),
      };
      const list = await client.json('GET', path, { query, signal: this.#stop.signal });
      if (!Value.Check(List, list)) throw new Error(`GET ${path}: the answer is not a list`);
      for (const item of list.items) {
        const object = this.#read(item);
        if (object !== null) found.push(object);
        else unreadable.push(...[readMetadata(item)].filter((metadata) => metadata !== null));
      }
      next = list.metadata.continue;
      if (next === undefined || next === '') return { found, unreadable, version: list.metadata.resourceVersion };
    }
  }

  async #watch(version: string): Promise<void> {
    const { client, path, labelSelector, times } = this.#settings;
    const timeoutSeconds = Math.ceil(times.watchSeconds * (0.8 + randomInt(0, 401) / 1000));
    const query = {
      ...(labelSelector === undefined ? {} : { labelSelector }),
      allowWatchBookmarks: true,
      resourceVersion: version,
      timeoutSeconds,
    };
    const limits = {
      signal: this.#stop.signal,
      silenceMs: timeoutSeconds * 1000 + times.marginMs,
      maxLineBytes: MAX_LINE_BYTES,
    };
    for await (const event of watchStream(client, path, query, limits)) {
      this.#take(event);
      this.#events++;
    }
  }

  #take({ type, object }: WatchEvent): void {
    if (type === 'ERROR') {
      const { code = 0 } = readStatus(object);
      throw new ApiError(`watch ${this.#settings.path}`, code, object);
    }
    if (type === 'BOOKMARK') {
      this.#version = bookmarkVersion(object);
      return;
    }
    const metadata = readMetadata(object);
    if (metadata === null) throw new Unreadable(`an event ${type} has no object`);
    const isThere = type !== 'DELETED';
    const read = isThere ? this.#read(object) : null;
    if (read === null) this.#settings.drop(metadata, isThere);
    else this.#settings.put(read);
    this.#version = metadata.resourceVersion;
  }

  /** null: it cannot be read; other objects are not affected. */
  #read(value: unknown): T | null {
    const passOver = (cause: object) => {
      const { namespace, name } = readMetadata(value) ?? {};
      this.#settings.log.warn({ namespace, name, ...cause }, 'an object cannot be read, and is passed over');
      return null;
    };
    try {
      return this.#settings.read(value) ?? passOver({});
    } catch (error) {
      return passOver({ err: error });
    }
  }
}

const Bookmark = Type.Object({ metadata: Type.Object({ resourceVersion: Type.String() }) });

function bookmarkVersion(object: unknown): string {
  if (!Value.Check(Bookmark, object)) throw new Unreadable('a bookmark has no version');
  return object.metadata.resourceVersion;
}

/** The history is gone, or the kind is; or what comes next cannot be read, and would come again. */
const needsList = (error: unknown): boolean =>
  error instanceof Unreadable || isApiError(error, CODE.gone, CODE.notFound);

/** Half of it is chance: many watches that fail at the same time must not come back at the same time. */
function pauseMs(failures: number, { firstPauseMs, longestPauseMs }: WatchTimes): number {
  const whole = Math.min(firstPauseMs * 2 ** (failures - 1), longestPauseMs);
  return whole * (0.5 + randomInt(0, 501) / 1000);
}
