import { keyOf } from './read-object.ts';
import type { Metadata } from './read-object.ts';

export interface Stored {
  readonly metadata: Metadata;
}

export interface StoreSettings<T> {
  /** `namespace/name` of the job that an object belongs to; null: none. */
  jobOf(object: T): string | null;
  /** Called when an object is new or may have changed. */
  changed(object: T): void;
  removed(object: T): void;
}

/** How long an object that this process created is assumed to exist before the watch reports it. */
const EXPECTED_MS = 5_000;

/** The last known state of the objects of one kind. */
export class Store<T extends Stored> {
  readonly #settings: StoreSettings<T>;
  readonly #objects = new Map<string, T>();
  /** Keys of objects, by job. */
  readonly #jobs = new Map<string, Set<string>>();
  /** Objects created here that the watch has not reported: without them, the next reconcile would create them again. */
  readonly #expected = new Map<string, { readonly object: T; readonly until: number }>();

  constructor(settings: StoreSettings<T>) {
    this.#settings = settings;
  }

  get(namespace: string, name: string): T | null {
    const key = `${namespace}/${name}`;
    const expected = this.#expected.get(key);
    if (expected !== undefined && expected.until < performance.now()) this.#expected.delete(key);
    return this.#objects.get(key) ?? this.#expected.get(key)?.object ?? null;
  }

  all(): readonly T[] {
    return [...this.#objects.values()];
  }

  ofJob(job: string): readonly T[] {
    return [...(this.#jobs.get(job) ?? [])].flatMap((key) => this.#objects.get(key) ?? []);
  }

  put(object: T): void {
    const key = keyOf(object.metadata);
    const before = this.#objects.get(key);
    // Deleted and created again between two events.
    if (before !== undefined && before.metadata.uid !== object.metadata.uid) this.#remove(key, before);
    this.#expected.delete(key);
    this.#set(key, object);
    this.#settings.changed(object);
  }

  drop({ namespace, name, uid }: Pick<Metadata, 'namespace' | 'name' | 'uid'>): void {
    const key = `${namespace}/${name}`;
    if (this.#expected.get(key)?.object.metadata.uid === uid) this.#expected.delete(key);
    const before = this.#objects.get(key);
    if (before !== undefined && before.metadata.uid === uid) this.#remove(key, before);
  }

  /** Sets all objects of a namespace, or of all if it is null; the others there are removed. */
  replace(objects: readonly T[], namespace: string | null): void {
    const keys = new Set(objects.map(({ metadata }) => keyOf(metadata)));
    for (const [key, object] of this.#objects) {
      if (!keys.has(key) && (namespace === null || object.metadata.namespace === namespace)) this.#remove(key, object);
    }
    for (const object of objects) this.put(object);
  }

  /** The object was created by this process. */
  made(object: T): void {
    const key = keyOf(object.metadata);
    if (!this.#objects.has(key)) this.#expected.set(key, { object, until: performance.now() + EXPECTED_MS });
  }

  /** The object was changed by this process. Newer states are kept, and `changed` is not called. */
  wrote(object: T): void {
    const key = keyOf(object.metadata);
    const before = this.#objects.get(key);
    if (before === undefined || before.metadata.uid !== object.metadata.uid) return;
    if (isNewer(object.metadata.resourceVersion, before.metadata.resourceVersion)) this.#set(key, object);
  }

  #set(key: string, object: T): void {
    const before = this.#objects.get(key);
    if (before !== undefined) this.#unlink(key, before);
    this.#objects.set(key, object);
    const job = this.#settings.jobOf(object);
    if (job === null) return;
    const keys = this.#jobs.get(job);
    if (keys === undefined) this.#jobs.set(job, new Set([key]));
    else keys.add(key);
  }

  #remove(key: string, object: T): void {
    this.#unlink(key, object);
    this.#objects.delete(key);
    this.#settings.removed(object);
  }

  #unlink(key: string, object: T): void {
    const job = this.#settings.jobOf(object);
    const keys = job === null ? undefined : this.#jobs.get(job);
    if (job === null || keys === undefined) return;
    keys.delete(key);
    if (keys.size === 0) this.#jobs.delete(job);
  }
}

/** Resource versions of one kind are increasing whole numbers, too long for a double. */
const isNewer = (version: string, than: string): boolean =>
  version.length === than.length ? version > than : version.length > than.length;
