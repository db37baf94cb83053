import type { Logger } from 'pino';
import type { JobProgress } from '../../crds/facts/progress.ts';
import { errorMessage, UserError } from '../../crds/facts/user-error.ts';
import type { RunReport } from '../../crds/facts/report.ts';
import { aside } from '../process/aside.ts';
import { jobLog } from '../process/log.ts';
import type { JobObject } from '../objects/job-object.ts';
import type { RedisMemory } from '../redis/memory.ts';
import { instant } from '../status/observed-job.ts';
import { readRedisUrl } from '../../worker/transport/redis/redis-url.ts';
import { ProgressMirror } from './mirror.ts';
import type { MirrorSettings } from './mirror.ts';

/** Where a Redis is; the URL holds a password, and is never told. */
export interface RedisAddress {
  readonly url: string;
  /** PEM of the authority that signed its certificate; null: the system's count. */
  readonly ca: string | null;
}

export interface MirrorPoolSettings {
  /** Redis for jobs that bring none; null: there is none. */
  readonly defaultRedis: RedisAddress | null;
  readonly log: Logger;
  /** All jobs that are watched. */
  jobs(): readonly JobObject[];
  /** The Redis that a job brings, from its Secrets; null: they are not there yet. */
  addressOf(job: JobObject): Promise<RedisAddress | null>;
  /** There is news of the job `namespace/name`. */
  changed(key: string): void;
  /** Whether the default Redis answers. */
  connected(isConnected: boolean): void;
  /** What the default Redis says of its memory; null: nothing. */
  memory(memory: RedisMemory | null): void;
  /** Milliseconds since 1970. */
  now(): number;
  /** How often to look for the Redis of jobs whose own does not answer. */
  readonly settleMs?: number;
  /** When to remove a job's keys once more. */
  readonly sweepAgainMs?: number;
}

const SETTLE_MS = 5_000;

/** Pods have a minute to leave once the job is gone. */
const SWEEP_AGAIN_MS = 90_000;

/** How long after a job's end its server pod's last words may still arrive. */
const LAST_WORDS_MS = 60_000;

/**
 * Redis that are followed for jobs of one namespace: each takes connections, and whoever makes jobs says how many there
 * are.
 */
const MOST_OF_NAMESPACE = 100;

interface Mirrored {
  readonly address: string;
  /** Of the job for which it was opened. */
  readonly namespace: string;
  readonly mirror: ProgressMirror;
  readonly uids: Set<string>;
  isConnected: boolean;
}

/**
 * What server pods tell, through whichever Redis: one mirror for each, from the first job that brings it to the last.
 */
export class MirrorPool {
  readonly #settings: MirrorPoolSettings;
  readonly #default: ProgressMirror | null;
  /** By address, and by uid of the jobs that bring them. */
  readonly #mirrors = new Map<string, Mirrored>();
  readonly #byJob = new Map<string, Mirrored>();
  /** What was last said of a job whose Redis cannot be had. */
  readonly #complaints = new Map<string, string>();
  readonly #timer: NodeJS.Timeout;
  readonly #sweeps = new Set<NodeJS.Timeout>();
  #settling = false;
  #closed = false;

  constructor(settings: MirrorPoolSettings) {
    const { defaultRedis, log, connected, memory, settleMs = SETTLE_MS } = settings;
    this.#settings = settings;
    this.#default =
      defaultRedis === null
        ? null
        : this.#open(defaultRedis, { log, connected, memory }, (job) => job.spec.redis === undefined);
    this.#timer = setInterval(() => aside(log, () => this.#settle()), settleMs);
  }

  /** What the job's server pod last told; null: nothing yet. */
  progressOf(uid: string): JobProgress | null {
    return this.#byJob.get(uid)?.mirror.progressOf(uid) ?? this.#default?.progressOf(uid) ?? null;
  }

  /** The job's report as it stands; null: none yet. Rejects when its Redis does not answer, or holds something else. */
  async reportOf(job: JobObject): Promise<RunReport | null> {
    const mirror = this.#mirrorOf(job);
    if (mirror === null) throw new Error("the job's Redis is not known");
    return mirror.reportOf(job.metadata.uid);
  }

  /**
   * The job is gone. `sweep`: with it go its keys, as far as its Redis can be reached; and later, once more, what its
   * last pods wrote.
   */
  async forget(job: JobObject, sweep: boolean): Promise<void> {
    const { uid } = job.metadata;
    const mirror = this.#mirrorOf(job);
    mirror?.forget(uid);
    this.#complaints.delete(uid);
    if (!sweep || mirror === null) {
      this.#release(uid);
      return;
    }
    const later = setTimeout(() => {
      this.#sweeps.delete(later);
      aside(this.#settings.log, async () => {
        await this.#sweep(job, mirror);
        this.#release(uid);
      });
    }, this.#settings.sweepAgainMs ?? SWEEP_AGAIN_MS);
    this.#sweeps.add(later);
    await this.#sweep(job, mirror);
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    for (const timer of this.#sweeps) clearTimeout(timer);
    this.#default?.close();
    for (const { mirror } of this.#mirrors.values()) mirror.close();
  }

  async #sweep({ metadata }: JobObject, mirror: ProgressMirror): Promise<void> {
    try {
      await mirror.sweep(metadata.uid);
    } catch (error) {
      const log = jobLog(this.#settings.log, metadata.namespace, metadata.name);
      log.warn({ reason: wordsOf(error) }, "cannot remove the job's keys from Redis");
    }
  }

  #mirrorOf({ metadata, spec }: JobObject): ProgressMirror | null {
    return spec.redis === undefined ? this.#default : (this.#byJob.get(metadata.uid)?.mirror ?? null);
  }

  /** Finds the Redis of jobs that bring one and have none that answers: its Secret may have come, or changed. */
  async #settle(): Promise<void> {
    if (this.#settling) return;
    this.#settling = true;
    try {
      const unsettled = this.#settings
        .jobs()
        .filter(
          ({ metadata, spec }) => spec.redis !== undefined && this.#byJob.get(metadata.uid)?.isConnected !== true,
        );
      for (const job of unsettled) await this.#find(job);
    } finally {
      this.#settling = false;
    }
  }

  async #find(job: JobObject): Promise<void> {
    const { uid, namespace, name } = job.metadata;
    const complain = (reason: string) => {
      if (this.#complaints.get(uid) !== reason)
        jobLog(this.#settings.log, namespace, name).warn({ reason }, "cannot follow the job's progress");
      this.#complaints.set(uid, reason);
    };
    try {
      const address = await this.#settings.addressOf(job);
      const isThere = this.#settings.jobs().some(({ metadata }) => metadata.uid === uid);
      if (address !== null && isThere && !this.#closed) this.#assign(job, address);
    } catch (error) {
      complain(wordsOf(error));
    }
  }

  #assign(job: JobObject, address: RedisAddress): void {
    const { uid, namespace, name } = job.metadata;
    const key = JSON.stringify([address.url, address.ca]);
    if (this.#byJob.get(uid)?.address === key) return;
    this.#release(uid);
    const mirrored =
      this.#mirrors.get(key) ?? this.#openFor(key, address, namespace, jobLog(this.#settings.log, namespace, name));
    mirrored.uids.add(uid);
    this.#byJob.set(uid, mirrored);
  }

  /** @throws Error when there are too many for the namespace */
  #openFor(key: string, address: RedisAddress, namespace: string, log: Logger): Mirrored {
    const others = [...this.#mirrors.values()].filter((mirrored) => mirrored.namespace === namespace).length;
    if (others >= MOST_OF_NAMESPACE)
      throw new Error(`${others} other Redis are followed for jobs of this namespace, and no more are`);
    const uids = new Set<string>();
    const connected = (isConnected: boolean) => {
      const mirrored = this.#mirrors.get(key);
      if (mirrored !== undefined) mirrored.isConnected = isConnected;
    };
    const mirror = this.#open(address, { log, connected }, ({ metadata }) => uids.has(metadata.uid));
    const mirrored: Mirrored = { address: key, namespace, mirror, uids, isConnected: false };
    this.#mirrors.set(key, mirrored);
    return mirrored;
  }

  #open(
    { url, ca }: RedisAddress,
    listeners: Pick<MirrorSettings, 'log' | 'connected' | 'memory'>,
    isMirrored: (job: JobObject) => boolean,
  ): ProgressMirror {
    const { jobs, changed, now } = this.#settings;
    return new ProgressMirror({
      endpoint: readRedisUrl(url),
      ...(ca === null ? {} : { ca }),
      ...listeners,
      jobs: () =>
        jobs()
          .filter((job) => isMirrored(job) && this.#mayTell(job))
          .map(({ metadata }) => ({ key: `${metadata.namespace}/${metadata.name}`, uid: metadata.uid })),
      changed,
      now,
    });
  }

  /** Whether the job's server pod may have something new to tell. */
  #mayTell({ spec, status }: JobObject): boolean {
    if (spec.managedBy !== undefined) return false;
    const ended = instant(status?.completionTime);
    return ended === null || this.#settings.now() < ended + LAST_WORDS_MS;
  }

  /** The job does not need its mirror any more; the last one closes it. */
  #release(uid: string): void {
    const mirrored = this.#byJob.get(uid);
    if (mirrored === undefined) return;
    this.#byJob.delete(uid);
    mirrored.uids.delete(uid);
    if (mirrored.uids.size > 0) return;
    this.#mirrors.delete(mirrored.address);
    mirrored.mirror.close();
  }
}

function wordsOf(error: unknown): string {
  if (error instanceof UserError && error.hint !== undefined) return `${error.message}. ${error.hint}`;
  return errorMessage(error);
}
