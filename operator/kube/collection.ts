import type { Logger } from 'pino';
import type { OperatorMetrics } from '../metrics/operator-metrics.ts';
import type { ApiClient } from './api-client.ts';
import { ListWatch } from './list-watch.ts';
import type { WatchTimes } from './list-watch.ts';
import { keyOf } from './read-object.ts';
import type { Read } from './read-object.ts';
import { collectionPath } from '../objects/resources.ts';
import type { Resource } from '../objects/resources.ts';
import type { Store, Stored } from './store.ts';

export interface CollectionSettings<T extends Stored> {
  readonly client: ApiClient;
  readonly resource: Resource;
  /** null: all namespaces. */
  readonly namespaces: readonly string[] | null;
  readonly labelSelector?: string;
  /** The kind may not be installed. */
  readonly isOptional?: boolean;
  readonly read: Read<T>;
  readonly store: Store<T>;
  readonly log: Logger;
  readonly times: WatchTimes;
  readonly watch: OperatorMetrics['watch'];
}

/** The objects of one kind, kept current by one watch per namespace, or one for all namespaces. */
export class Collection<T extends Stored> {
  readonly resource: Resource;
  readonly store: Store<T>;
  readonly #read: Read<T>;
  /** `namespace/name` of objects that are skipped because they cannot be read. */
  readonly #unreadable = new Set<string>();
  readonly #watches: readonly { readonly namespace: string | null; readonly watch: ListWatch<T> }[];

  constructor(settings: CollectionSettings<T>) {
    const {
      client,
      resource,
      namespaces,
      labelSelector,
      isOptional = false,
      read,
      store,
      log,
      times,
      watch,
    } = settings;
    this.resource = resource;
    this.store = store;
    this.#read = read;
    watch.added(resource.plural);
    this.#watches = (namespaces ?? [null]).map((namespace) => ({
      namespace,
      watch: new ListWatch({
        client,
        path: collectionPath(resource, namespace),
        ...(labelSelector === undefined ? {} : { labelSelector }),
        isOptional,
        read,
        log: log.child({ watch: resource.plural, ...(namespace === null ? {} : { namespace }) }),
        times,
        replace: (objects, unreadable) => {
          for (const key of this.#unreadable)
            if (namespace === null || key.startsWith(`${namespace}/`)) this.#unreadable.delete(key);
          for (const metadata of unreadable) this.#unreadable.add(keyOf(metadata));
          store.replace(objects, namespace);
        },
        put: (object) => {
          this.#unreadable.delete(keyOf(object.metadata));
          store.put(object);
        },
        drop: (metadata, unreadable) => {
          if (unreadable) this.#unreadable.add(keyOf(metadata));
          else this.#unreadable.delete(keyOf(metadata));
          store.drop(metadata);
        },
        restarted: () => watch.restarted(resource.plural),
      }),
    }));
  }

  /** Number of skipped objects. */
  get unreadable(): number {
    return this.#unreadable.size;
  }

  /** Whether the API server serves the kind. */
  get isServed(): boolean {
    return this.#watches.every(({ watch }) => watch.isServed);
  }

  start(): void {
    for (const { watch } of this.#watches) watch.start();
  }

  /** What has not been listed yet, as text. */
  missing(): readonly string[] {
    const { plural } = this.resource;
    return this.#watches.flatMap(({ namespace, watch }) =>
      watch.hasListed ? [] : namespace === null ? plural : `${plural} in ${namespace}`,
    );
  }

  async close(): Promise<void> {
    await Promise.all(this.#watches.map(({ watch }) => watch.close()));
  }

  /** Stores the API server's answer to a create. */
  made(answer: unknown): void {
    const object = this.#read(answer);
    if (object !== null) this.store.made(object);
  }

  /** Stores the API server's answer to an update. */
  wrote(answer: unknown): void {
    const object = this.#read(answer);
    if (object !== null) this.store.wrote(object);
  }
}
