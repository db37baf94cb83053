import { hostname } from 'node:os';
import type { KubeConfig } from '@kubernetes/client-node';
import type { Logger } from 'pino';
import { errorMessage } from '../../crds/facts/user-error.ts';
import { readRedisUrl } from '../../worker/transport/redis/redis-url.ts';
import { jobLog } from '../process/log.ts';
import type { OperatorMetrics } from '../metrics/operator-metrics.ts';
import { namesOf } from '../objects/names.ts';
import type { JobObject } from '../objects/job-object.ts';
import type { Observed, ObservedPod } from '../objects/observed.ts';
import type { ReconcilePorts } from '../ports/reconcile-ports.ts';
import { ApiClient } from './api-client.ts';
import { CACHE_TIMES, Caches } from './caches.ts';
import type { CacheTimes } from './caches.ts';
import { EventRecorder } from './event-recorder.ts';
import { lastWarning } from './last-warning.ts';
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
  /** The FedBiOTJob `namespace/name` must be looked at. */
  changed(key: string): void;
  /** The job is gone. */
  removed(job: JobObject): void;
  /** Counts watches that begin anew. */
  readonly watch: OperatorMetrics['watch'];
  readonly times?: Partial<CacheTimes>;
  readonly requestTimeoutMs?: number;
}

const CA_KEY = 'ca.crt';

/** The operator's hands and eyes: jobs and their objects as watches tell of them, and the writes of the reconciler. */
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

  /** Begins all watches. */
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

  /** Every job that can be understood. */
  jobs(): readonly JobObject[] {
    return this.#caches.jobs.store.all().flatMap(({ job }) => (job === null ? [] : [job]));
  }

  /** The pods made for a job. */
  podsOf({ metadata }: JobObject): readonly ObservedPod[] {
    return this.#caches.pods.store.ofJob(keyOf(metadata));
  }

  /** URL of the Redis that the job brings; null: it brings none, or its Secret cannot be read. */
  redisUrlOf(job: JobObject): Promise<string | null> {
    return this.#orNull(job, this.#redisUrl(job));
  }

  /**
   * PEM of the authority that signed the certificate of the job's Redis; null: the job names none, or its Secret cannot
   * be read.
   */
  caOf(job: JobObject): Promise<string | null> {
    const secret = job.spec.redis?.tls?.caSecret;
    if (secret === undefined) return Promise.resolve(null);
    return this.#orNull(job, this.#secrets.read(job.metadata.namespace, secret.name, CA_KEY));
  }

  /** Once all watches have ended, and the events that are under way are told. */
  async close(): Promise<void> {
    await this.#caches.close();
    await this.#events.settled();
    this.#client.close();
  }

  async #observe(job: JobObject): Promise<Observed> {
    const missing = this.missing();
    // What has not been listed looks as if it did not exist.
    if (missing !== null) throw new Error(missing);
    const { name, namespace } = job.metadata;
    const names = namesOf(name);
    const { configMaps, secrets, services, claims, policies, batchJobs } = this.#caches;
    return {
      configMap: configMaps.store.get(namespace, names.configMap),
      credentials: secrets.store.get(namespace, names.credentials),
      serverJob: batchJobs.store.get(namespace, names.server),
      clientsJob: batchJobs.store.get(namespace, names.clients),
      service: services.store.get(namespace, names.service),
      outputClaim: claims.store.get(namespace, names.output),
      serverPolicy: policies.store.get(namespace, names.server),
      clientsPolicy: policies.store.get(namespace, names.clients),
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
