import type { Logger } from 'pino';
import type { OperatorMetrics } from '../metrics/operator-metrics.ts';
import { LABEL, MANAGER } from '../objects/labels.ts';
import type { JobObject } from '../objects/job-object.ts';
import type { ObservedOwned } from '../objects/observed.ts';
import { OWNED, OWNED_RESOURCES } from '../objects/owned-objects.ts';
import type { OwnedKey } from '../objects/owned-objects.ts';
import type { ApiClient } from './api-client.ts';
import { Collection } from './collection.ts';
import { WATCH_TIMES } from './list-watch.ts';
import type { WatchTimes } from './list-watch.ts';
import { jobReader } from './read-job.ts';
import type { JobEntry } from './read-job.ts';
import { BatchJob, keyOf, Pod, reader, WholeObject, Workload } from './read-object.ts';
import type { Read } from './read-object.ts';
import { RESOURCE } from '../objects/resources.ts';
import type { Resource } from '../objects/resources.ts';
import { Store } from './store.ts';
import type { Stored } from './store.ts';

export interface CacheTimes extends WatchTimes {
  /** How often every job is reconciled without an event. */
  readonly resyncMs: number;
}

export const CACHE_TIMES: CacheTimes = { ...WATCH_TIMES, resyncMs: 600_000 };

type OwnedEntry = WholeObject | BatchJob | Workload;

export interface CachesSettings {
  readonly client: ApiClient;
  readonly namespaces: readonly string[] | null;
  readonly log: Logger;
  readonly times: CacheTimes;
  changed(key: string): void;
  removed(job: JobObject): void;
  readonly watch: OperatorMetrics['watch'];
}

/** The fields that are kept of owned objects that are not compared with the plan as a whole. */
const OWNED_SCHEMA = new Map<Resource, typeof BatchJob | typeof Workload>([
  [RESOURCE.job, BatchJob],
  [RESOURCE.workload, Workload],
]);

/** Jobs and the objects created for them, as the watches last reported. */
export class Caches {
  readonly jobs: Collection<JobEntry>;
  readonly #owned: ReadonlyMap<Resource, Collection<OwnedEntry>>;
  readonly pods: Collection<Pod>;
  readonly #settings: CachesSettings;
  #resync: NodeJS.Timeout | undefined;

  constructor(settings: CachesSettings) {
    this.#settings = settings;
    const store = new Store<JobEntry>({
      jobOf: () => null,
      changed: ({ metadata }) => this.#changed(keyOf(metadata)),
      removed: ({ known }) => {
        if (known !== null) this.#guarded(() => settings.removed(known));
      },
    });
    const read = jobReader((namespace, name) => store.get(namespace, name), settings.log);
    this.jobs = new Collection({ ...settings, resource: RESOURCE.fedbiotJob, read, store });
    this.#owned = new Map(
      OWNED_RESOURCES.map((resource) => [
        resource,
        this.#made<OwnedEntry>(resource, reader(resource, OWNED_SCHEMA.get(resource) ?? WholeObject)),
      ]),
    );
    this.pods = this.#made(RESOURCE.pod, reader(RESOURCE.pod, Pod));
  }

  start(): void {
    for (const collection of this.#all()) collection.start();
    this.#resync = setInterval(() => {
      for (const { metadata } of this.jobs.store.all()) this.#changed(keyOf(metadata));
    }, this.#settings.times.resyncMs);
  }

  missing(): string | null {
    const missing = this.#all().flatMap((collection) => collection.missing());
    return missing.length === 0 ? null : `not listed yet: ${missing.join(', ')}`;
  }

  async close(): Promise<void> {
    clearInterval(this.#resync);
    await Promise.all(this.#all().map((collection) => collection.close()));
  }

  /** Objects that cannot be read, by the plural of their kind. */
  unreadable(): ReadonlyMap<string, number> {
    const jobs = this.jobs.store.all().filter(({ unreadable }) => unreadable !== null).length;
    return new Map(
      this.#all().map(({ resource, unreadable }) => [
        resource.plural,
        unreadable + (resource === this.jobs.resource ? jobs : 0),
      ]),
    );
  }

  /** One of a job's objects; null: there is none of that name. */
  owned(key: OwnedKey, { namespace, name }: JobObject['metadata']): ObservedOwned | null {
    const { resource, name: nameOf } = OWNED[key];
    return this.#owned.get(resource)?.store.get(namespace, nameOf(name)) ?? null;
  }

  /** Whether the API server serves an owned kind, which may not be installed. */
  serves(resource: Resource): boolean {
    return this.#owned.get(resource)?.isServed === true;
  }

  /** Where objects of a kind are kept; undefined: they are not. */
  of(resource: Resource): Pick<Collection<Stored>, 'made' | 'wrote'> | undefined {
    return this.#all().find((collection) => collection.resource === resource);
  }

  #changed(key: string): void {
    this.#guarded(() => this.#settings.changed(key));
  }

  /** A listener that throws must not stop the cache. */
  #guarded(tell: () => void): void {
    try {
      tell();
    } catch (error) {
      this.#settings.log.error({ err: error }, 'a change could not be handled');
    }
  }

  #all() {
    return [this.jobs, ...this.#owned.values(), this.pods];
  }

  /** Objects that the operator creates, or pods of its Jobs. */
  #made<T extends Stored>(resource: Resource, read: Read<T>): Collection<T> {
    const tell = (object: T) => {
      const job = jobOf(object);
      if (job !== null) this.#changed(job);
    };
    const store = new Store<T>({ jobOf, changed: tell, removed: tell });
    return new Collection({
      ...this.#settings,
      resource,
      labelSelector: `app.kubernetes.io/managed-by=${MANAGER}`,
      // Clusters may have no Kueue.
      isOptional: resource === RESOURCE.workload,
      read,
      store,
    });
  }
}

/** The job that an object was created for, by its label. */
function jobOf({ metadata }: Stored): string | null {
  const job = metadata.labels?.[LABEL.job];
  return job === undefined ? null : `${metadata.namespace}/${job}`;
}
