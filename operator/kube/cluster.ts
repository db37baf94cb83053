import { hostname } from 'node:os';
import type { KubeConfig } from '@kubernetes/client-node';
import type { Logger } from 'pino';
import { errorMessage } from '../../crds/facts/user-error.ts';
import { readRedisUrl } from '../../worker/transport/redis/redis-url.ts';
import { jobLog } from '../process/log.ts';
import type { OperatorMetrics } from '../metrics/operator-metrics.ts';
import { eachOwned } from '../objects/owned-objects.ts';
import type { JobObject } from '../objects/job-object.ts';
import { RESOURCE } from '../objects/resources.ts';
import type { Observed, ObservedPod } from '../objects/observed.ts';
import type { ReconcilePorts } from '../ports/reconcile-ports.ts';
import { ApiClient } from './api-client.ts';
import { CACHE_TIMES, Caches } from './caches.ts';
import type { CacheTimes } from './caches.ts';
import { EventRecorder } from './event-recorder.ts';
import { lastWarning } from './last-warning.ts';
import { observeKueue } from './kueue.ts';
import { keyOf } from './read-object.ts';
import { UserSecrets } from './user-secrets.ts';
import { writes } from './writes.ts';

export interface ClusterSettings {
  readonly kubeConfig: KubeConfig;
  /** null: all. */
  readonly namespaces: readonly string[] | null;
  readonly log: Logger;
  /** Counts every request to the API server. */
  readonly request: OperatorMetrics['request'];
  /** The FedBiOTJob `namespace/name` must be reconciled. */
  changed(key: string): void;
  /** The job is gone. */
  removed(job: JobObject): void;
  /** Counts restarted watches. */
  readonly watch: OperatorMetrics['watch'];
  readonly times?: Partial<CacheTimes>;
  readonly requestTimeoutMs?: number;
}

const CA_KEY = 'ca.crt';

/** Jobs and their objects as watches report them, and the writes of the reconciler. */
export class Cluster {
  readonly ports: Omit<ReconcilePorts, 'progressOf' | 'redisUsers' | 'grantRedis' | 'now'>;
  readonly #log: Logger;
  readonly #client: ApiClient;
  readonly #caches: Caches;
  readonly #secrets: UserSecrets;
  readonly #events: EventRecorder;

  constructor(settings: ClusterSettings) {
    const { kubeConfig, namespaces, log, request, times, requestTimeoutMs } = settings;
    this.#log = log;
    this.#client = new ApiClient({
      kubeConfig,
      request,
      ...(requestTimeoutMs === undefined ? {} : { timeoutMs: requestTimeoutMs }),
    });
    this.#events = new EventRecorder({ client: this.#client, log, instance: hostname() });
    this.#secrets = new UserSecrets(this.#client, log);
    this.#caches = new Caches({
      client: this.#client,
      namespaces,
      log,
      times: { ...CACHE_TIMES, ...times },
      changed: (key) => settings.changed(key),
      removed: (job) => {
        this.#events.forget(job.metadata.uid);
        settings.removed(job);
      },
      watch: settings.watch,
    });
    this.ports = {
      ...writes(this.#client, this.#caches),
      getJob: (namespace, name) => this.#caches.jobs.store.get(namespace, name)?.job ?? null,
      unreadableJob: (namespace, name) => this.#caches.jobs.store.get(namespace, name)?.unreadable ?? null,
      observe: (job) => this.#observe(job),
      lastWarning: (reference) => lastWarning(this.#client, reference, log),
      recordEvent: (job, event) => {
        const { namespace, name } = job.metadata;
        if (event.type === 'Warning')
          jobLog(log, namespace, name).info({ reason: event.reason, note: event.message }, 'the job has a warning');
        this.#events.record(job, event);
      },
    };
  }

  /** Starts all watches. */
  start(): void {
    this.#caches.start();
  }

  /** What has not been listed yet, in words; null: everything has. */
  missing(): string | null {
    return this.#caches.missing();
  }

  /** `namespace/name` of every job, also of those that cannot be read. */
  keys(): readonly string[] {
    return this.#caches.jobs.store.all().map(({ metadata }) => keyOf(metadata));
  }

  /** Objects that cannot be read, by the plural of their kind. */
  unreadable(): ReadonlyMap<string, number> {
    return this.#caches.unreadable();
  }

  /** Every job that can be read. */
  jobs(): readonly JobObject[] {
    return this.#caches.jobs.store.all().flatMap(({ job }) => (job === null ? [] : [job]));
  }

  /** The pods of a job. */
  podsOf({ metadata }: JobObject): readonly ObservedPod[] {
    return this.#caches.pods.store.ofJob(keyOf(metadata));
  }

  /** URL of the job's own Redis; null: the job has none, or its Secret cannot be read. */
  redisUrlOf(job: JobObject): Promise<string | null> {
    return this.#orNull(job, this.#redisUrl(job));
  }

  /**
   * PEM of the CA certificate for the job's Redis; null: the job names none, or its Secret cannot be read.
   */
  caOf(job: JobObject): Promise<string | null> {
    const secret = job.spec.redis?.tls?.caSecret;
    if (secret === undefined) return Promise.resolve(null);
    return this.#orNull(job, this.#secrets.read(job.metadata.namespace, secret.name, CA_KEY));
  }

  /** Resolves once all watches have ended and pending events are written. */
  async close(): Promise<void> {
    await this.#caches.close();
    await this.#events.settled();
    this.#client.close();
  }

  async #observe(job: JobObject): Promise<Observed> {
    const missing = this.missing();
    // Objects that were not listed yet would look as if they did not exist.
    if (missing !== null) throw new Error(missing);
    const owned = eachOwned((key) => this.#caches.owned(key, job.metadata));
    return {
      ...owned,
      kueue: await observeKueue(this.#client, job, owned, this.#caches.serves(RESOURCE.workload)),
      pods: this.podsOf(job),
      redisPort: portOf(await this.#redisUrl(job)),
    };
  }

  #redisUrl({ metadata, spec }: JobObject): Promise<string | null> {
    const { redis } = spec;
    return redis === undefined
      ? Promise.resolve(null)
      : this.#secrets.read(metadata.namespace, redis.urlFrom.name, redis.urlFrom.key);
  }

  async #orNull(job: JobObject, secret: Promise<string | null>): Promise<string | null> {
    try {
      return await secret;
    } catch (error) {
      const log = jobLog(this.#log, job.metadata.namespace, job.metadata.name);
      log.warn({ reason: errorMessage(error) }, 'a Secret of the job cannot be read');
      return null;
    }
  }
}

/** A URL that cannot be read is reported where Redis is contacted. */
function portOf(url: string | null): number | null {
  try {
    return url === null ? null : readRedisUrl(url).port;
  } catch {
    return null;
  }
}
