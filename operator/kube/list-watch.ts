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
import { listPages } from './list-pages.ts';
import { readMetadata } from './read-object.ts';
import type { Metadata, Read } from './read-object.ts';
import { watchStream } from './watch-stream.ts';
import type { WatchEvent } from './watch-stream.ts';

export interface WatchTimes {
  /** Time after which the API server ends a watch, varied by 20 % so that not all end at once. */
  readonly watchSeconds: number;
  /** Additional time that a connection may be silent. */
  readonly marginMs: number;
  /** Pause after the first failure; each further failure doubles it. */
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
  /** The kind may not be installed: then there are no objects, and it is looked for until there are. */
  readonly isOptional?: boolean;
  readonly read: Read<T>;
  readonly log: Logger;
  readonly times: WatchTimes;
  readonly pageSize?: number;
  /** Called after a list with all objects; `unreadable`: metadata of the skipped ones that have metadata. */
  replace(objects: readonly T[], unreadable: readonly Metadata[]): void;
  put(object: T): void;
  /** The object is gone or, if `unreadable`, exists and is skipped. */
  drop(metadata: Metadata, unreadable: boolean): void;
  /** The watch restarts after a failure; not called when the API server has ended it in time. */
  restarted(): void;
}

/** etcd limits an object to 1.5 MiB; its JSON may be longer. */
const MAX_LINE_BYTES = 16 * 1024 * 1024;

/** A watch that ends sooner without an event counts as a failure. */
const SHORT_MS = 1_000;

/**
 * Follows a collection despite failures of the API server and the connection: lists it, watches from that version, and
 * lists again only if the API server no longer has the events since. Never throws.
 */
export class ListWatch<T> {
  readonly #settings: ListWatchSettings<T>;
  readonly #stop = new AbortController();
  /** The last known version; null: a list is needed. */
  #version: string | null = null;
  #hasListed = false;
  #isServed = true;
  /** Events received so far. */
  #events = 0;
  #ended: Promise<void> = Promise.resolve();

  constructor(settings: ListWatchSettings<T>) {
    this.#settings = settings;
  }

  get hasListed(): boolean {
    return this.#hasListed;
  }

  /** Whether the API server serves the kind, as far as is known. */
  get isServed(): boolean {
    return this.#isServed;
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
        if (this.#settings.isOptional === true && isApiError(error, CODE.notFound)) {
          this.#missing();
          failures = 0;
          await this.#pause(times.longestPauseMs);
          continue;
        }
        failures = this.#events > before ? 1 : failures + 1;
        if (needsList(error)) this.#version = null;
        log.warn({ reason: errorMessage(error), failures }, 'watch interrupted');
      }
      if (failures === 0) continue;
      aside(log, () => this.#settings.restarted());
      await this.#pause(pauseMs(failures, times));
    }
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#stop.signal }).catch(() => undefined);
  }

  #missing(): void {
    if (this.#isServed) this.#settings.log.info('the kind is not installed');
    [this.#version, this.#isServed, this.#hasListed] = [null, false, true];
    this.#settings.replace([], []);
  }

  /** Lists all objects; the version from which to watch. */
  async #list(): Promise<string> {
    const { client, path, labelSelector, pageSize } = this.#settings;
    const { taken, version } = await listPages(
      {
        client,
        path,
        ...(labelSelector === undefined ? {} : { labelSelector }),
        ...(pageSize === undefined ? {} : { pageSize }),
        signal: this.#stop.signal,
      },
      (item) => {
        const object = this.#read(item);
        return { object, skipped: object === null ? readMetadata(item) : null };
      },
    );
    this.#isServed = true;
    this.#settings.replace(
      taken.flatMap(({ object }) => (object === null ? [] : [object])),
      taken.flatMap(({ skipped }) => (skipped === null ? [] : [skipped])),
    );
    this.#hasListed = true;
    return version;
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

  /** null: the object cannot be read; others are not affected. */
  #read(value: unknown): T | null {
    const skip = (cause: object) => {
      const { namespace, name } = readMetadata(value) ?? {};
      this.#settings.log.warn({ namespace, name, ...cause }, 'an object cannot be read and is skipped');
      return null;
    };
    try {
      return this.#settings.read(value) ?? skip({});
    } catch (error) {
      return skip({ err: error });
    }
  }
}

const Bookmark = Type.Object({ metadata: Type.Object({ resourceVersion: Type.String() }) });

function bookmarkVersion(object: unknown): string {
  if (!Value.Check(Bookmark, object)) throw new Unreadable('a bookmark has no version');
  return object.metadata.resourceVersion;
}

/** Whether to list again: the history has expired, the kind is gone, or the next event cannot be read. */
const needsList = (error: unknown): boolean =>
  error instanceof Unreadable || isApiError(error, CODE.gone, CODE.notFound);

/** Randomised from half to the whole: watches that fail together must not reconnect together. */
function pauseMs(failures: number, { firstPauseMs, longestPauseMs }: WatchTimes): number {
  const longest = Math.min(firstPauseMs * 2 ** (failures - 1), longestPauseMs);
  return longest * (0.5 + randomInt(0, 501) / 1000);
}
