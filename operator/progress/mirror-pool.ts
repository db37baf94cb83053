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
import { AbandonedKeys } from './abandoned-keys.ts';
import { ProgressMirror } from './mirror.ts';
import type { MirrorSettings } from './mirror.ts';
import { SharedMirrors } from './shared-mirrors.ts';
import type { RedisAddress } from './shared-mirrors.ts';

export interface MirrorPoolSettings {
  /** Redis for jobs without one of their own; null: there is none. */
  readonly defaultRedis: RedisAddress | null;
  readonly log: Logger;
  /** All watched jobs. */
  jobs(): readonly JobObject[];
  /** The Redis that a job names, from its Secrets; null: they do not exist yet. */
  addressOf(job: JobObject): Promise<RedisAddress | null>;
  /** The job `namespace/name` has new progress. */
  changed(key: string): void;
  /** Whether the default Redis answers. */
  connected(isConnected: boolean): void;
  /** The memory that the default Redis reports; null: unknown. */
  memory(memory: RedisMemory | null): void;
  /** Whether this replica writes. */
  leads(): boolean;
  /** The key under which the default Redis remembers the jobs of this installation; null: it does not. */
  readonly registry: string | null;
  /** Milliseconds since 1970. */
  now(): number;
  /** How often to look up the Redis of jobs that are not connected. */
  readonly settleMs?: number;
  /** When to remove a deleted job's keys again. */
  readonly sweepAgainMs?: number;
}

const SETTLE_MS = 5_000;

/** Pods may run for another minute after the job was deleted. */
const SWEEP_AGAIN_MS = 90_000;

/** How long after a job's end progress of its server pod may still arrive. */
const LAST_WORDS_MS = 60_000;

/** The progress that server pods report, mirrored from the default Redis and from those that jobs name. */
export class MirrorPool {
  readonly #settings: MirrorPoolSettings;
  readonly #default: ProgressMirror | null;
  readonly #abandoned: AbandonedKeys | null;
  readonly #shared: SharedMirrors;
  /** The last logged reason why a job's Redis is not available, by uid. */
  readonly #complaints = new Map<string, string>();
  readonly #timer: NodeJS.Timeout;
  readonly #sweeps = new Set<NodeJS.Timeout>();
  #settling = false;
  #closed = false;

  constructor(settings: MirrorPoolSettings) {
    const { defaultRedis, log, connected, memory, settleMs = SETTLE_MS } = settings;
    this.#settings = settings;
    this.#shared = new SharedMirrors(log, (address, listeners, isMirrored) =>
      this.#open(address, listeners, isMirrored),
    );
    this.#default =
      defaultRedis === null
        ? null
        : this.#open(defaultRedis, { log, connected, memory }, (job) => job.spec.redis === undefined);
    const { registry } = settings;
    this.#abandoned =
      this.#default === null || registry === null
        ? null
        : new AbandonedKeys({ ...settings, sweep: this.#default.sweep, registry });
    this.#timer = setInterval(() => aside(log, () => this.#settle()), settleMs);
  }

  /** The last progress that the job's server pod reported; null: none yet. */
  progressOf(uid: string): JobProgress | null {
    return this.#shared.of(uid)?.progressOf(uid) ?? this.#default?.progressOf(uid) ?? null;
  }

  /** The job's current report; null: none yet. Rejects if its Redis does not answer or holds an invalid one. */
  async reportOf(job: JobObject): Promise<RunReport | null> {
    const mirror = this.#mirrorOf(job);
    if (mirror === null) throw new Error("the job's Redis is not known");
    return mirror.reportOf(job.metadata.uid);
  }

  /**
   * The job was deleted. `sweep`: remove its keys from Redis now, and again later, when its last pods have ended.
   */
  async forget(job: JobObject, sweep: boolean): Promise<void> {
    const { uid } = job.metadata;
    const mirror = this.#mirrorOf(job);
    mirror?.forget(uid);
    this.#complaints.delete(uid);
    if (!sweep || mirror === null) {
      this.#shared.release(uid);
      return;
    }
    const later = setTimeout(() => {
      this.#sweeps.delete(later);
      aside(this.#settings.log, async () => {
        await this.#sweep(job, mirror);
        this.#shared.release(uid);
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
    this.#shared.close();
  }

  async #sweep({ metadata }: JobObject, mirror: ProgressMirror): Promise<void> {
    try {
      await mirror.sweep.remove(metadata.uid);
    } catch (error) {
      const log = jobLog(this.#settings.log, metadata.namespace, metadata.name);
      log.warn({ reason: wordsOf(error) }, "cannot remove the job's keys from Redis");
    }
  }

  #mirrorOf({ metadata, spec }: JobObject): ProgressMirror | null {
    return spec.redis === undefined ? this.#default : this.#shared.of(metadata.uid);
  }

  /** Looks up the Redis of jobs that name one and are not connected: their Secrets may have been created or changed. */
  async #settle(): Promise<void> {
    if (this.#settling) return;
    this.#settling = true;
    try {
      const unsettled = this.#settings
        .jobs()
        .filter(({ metadata, spec }) => spec.redis !== undefined && !this.#shared.isConnected(metadata.uid));
      for (const job of unsettled) await this.#find(job);
      await this.#abandoned?.look();
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
      if (address !== null && isThere && !this.#closed) this.#shared.assign(job, address);
    } catch (error) {
      complain(wordsOf(error));
    }
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
          .filter((job) => isMirrored(job) && this.#mayReport(job))
          .map(({ metadata }) => ({ key: `${metadata.namespace}/${metadata.name}`, uid: metadata.uid })),
      changed,
      now,
    });
  }

  /** Whether the job's server pod may still report progress. */
  #mayReport({ spec, status }: JobObject): boolean {
    if (spec.managedBy !== undefined) return false;
    const ended = instant(status?.completionTime);
    return ended === null || this.#settings.now() < ended + LAST_WORDS_MS;
  }
}

function wordsOf(error: unknown): string {
  if (error instanceof UserError && error.hint !== undefined) return `${error.message}. ${error.hint}`;
  return errorMessage(error);
}
