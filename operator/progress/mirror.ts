import { isDeepStrictEqual } from 'node:util';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { errorMessage } from '../../crds/facts/user-error.ts';
import type { JobProgress } from '../../crds/facts/progress.ts';
import { PROGRESS_CHANNEL } from '../../worker/cluster/redis-keys.ts';
import type { RunReport } from '../../crds/facts/report.ts';
import type { RedisEndpoint } from '../../worker/transport/redis/redis-url.ts';
import { aside } from '../process/aside.ts';
import { retryDelay } from '../redis/fail-fast.ts';
import { KeySweep } from '../redis/key-sweep.ts';
import { readRedisMemory } from '../redis/memory.ts';
import type { RedisMemory } from '../redis/memory.ts';
import { RedisNodes } from '../redis/nodes.ts';
import { openGuarded } from '../redis/open.ts';
import type { GuardedOptions } from '../redis/open.ts';
import { PacedReads } from './paced-reads.ts';
import { MAX_REPORT_BYTES, readProgress, readReport } from './read-json.ts';
import { RedisTrouble } from './redis-trouble.ts';

/** A job that reports progress through the mirror's Redis; `key` is `namespace/name`. */
export interface MirroredJob {
  readonly key: string;
  readonly uid: string;
}

export interface MirrorSettings {
  readonly endpoint: RedisEndpoint;
  /** PEM of the CA certificate of Redis; absent: the CAs that the system trusts. */
  readonly ca?: string;
  readonly log: Logger;
  /** Jobs that use this Redis and may still report progress. */
  jobs(): readonly MirroredJob[];
  /** The job has new progress. */
  changed(key: string): void;
  /** Redis answers, or no longer does. */
  connected(isConnected: boolean): void;
  /** Called with the memory that Redis reports, at each poll; null: unknown. Absent: the memory is not requested. */
  readonly memory?: (memory: RedisMemory | null) => void;
  /** Milliseconds since 1970. */
  now(): number;
  /** How often every job is read without a publication. */
  readonly pollMs?: number;
  /** Minimum time between two reads of a job, and so between two updates of its status by progress alone. */
  readonly pauseMs?: number;
}

const POLL_MS = 15_000;
const PAUSE_MS = 2_000;
const GATHER_MS = 10;

/** Limit of ordinary answers: progress, INFO, and names of keys. */
const MAX_REPLY_BYTES = 256 * 1024;

/**
 * Mirrors the progress that server pods write to one Redis, by the job's uid. A publication only triggers a read. The
 * stored value is that of the newest server pod, as writes are fenced in Redis; a sequence number in the message could
 * be forged to block later ones. While Redis is down the last known progress stays. Each node of a Redis Cluster
 * forwards publications, so subscribing to the node of the URL is enough; reads go to the node that has the job's keys.
 */
export class ProgressMirror {
  /** Removes keys of deleted jobs from this Redis. */
  readonly sweep: KeySweep;
  readonly #settings: MirrorSettings;
  readonly #trouble: RedisTrouble;
  readonly #options: GuardedOptions;
  readonly #subscriber: Redis;
  readonly #nodes: RedisNodes;
  /** `stored`: the value in Redis; `progress`: the same with a plausible time. */
  readonly #known = new Map<string, { readonly stored: JobProgress; readonly progress: JobProgress }>();
  readonly #reads: PacedReads<MirroredJob>;
  /** Keys of jobs with a publication that are not read yet. */
  readonly #published = new Set<string>();
  #gathering: NodeJS.Timeout | undefined;
  readonly #poll: NodeJS.Timeout;
  #isSubscribed = false;
  /** The last read of a report. Reports may be large, and are read one at a time. */
  #report: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(settings: MirrorSettings) {
    this.#settings = settings;
    this.#reads = new PacedReads(settings.pauseMs ?? PAUSE_MS, (job) => this.#aside(() => this.#read(job)));
    this.#trouble = new RedisTrouble(settings.log);
    this.#options = {
      endpoint: settings.endpoint,
      ca: settings.ca ?? null,
      maxReplyBytes: MAX_REPLY_BYTES,
      retryStrategy: (attempt) => Math.max(retryDelay(attempt), this.#trouble.delay()),
    };
    this.#aside(() => settings.connected(false));
    this.#subscriber = openGuarded(this.#options);
    this.#nodes = new RedisNodes(this.#options);
    this.sweep = new KeySweep(this.#nodes);
    this.#listen();
    this.#poll = setInterval(() => {
      if (!this.#isSubscribed) this.#aside(() => this.#subscribe());
      this.#aside(() => this.#readAll());
    }, settings.pollMs ?? POLL_MS);
    for (const redis of [this.#subscriber, this.#nodes.seed]) redis.connect().catch(() => undefined);
  }

  /** The last progress that the job's server pod reported; null: none yet. */
  progressOf(uid: string): JobProgress | null {
    return this.#known.get(uid)?.progress ?? null;
  }

  /** The job's current report; null: none yet. Rejects if Redis does not answer or holds an invalid one. */
  reportOf(uid: string): Promise<RunReport | null> {
    const report = this.#report.then(() => this.#readReport(uid));
    this.#report = report.catch(() => undefined);
    return report;
  }

  /** The job was deleted. */
  forget(uid: string): void {
    this.#known.delete(uid);
    this.#reads.forget(uid);
    this.#nodes.forget(uid);
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#poll);
    clearTimeout(this.#gathering);
    this.#reads.close();
    this.#subscriber.disconnect();
    this.#nodes.close();
  }

  #listen(): void {
    const { connected, memory } = this.#settings;
    const [subscriber, reader] = [this.#subscriber, this.#nodes.seed];
    this.#trouble.listen('subscriber', subscriber);
    this.#trouble.listen('reader', reader);
    subscriber.on('ready', () => this.#aside(() => this.#subscribe()));
    subscriber.on('close', () => (this.#isSubscribed = false));
    subscriber.on('message', (_channel: string, key: string) => this.#gather(key));
    reader.on('ready', () => {
      this.#aside(() => connected(true));
      this.#aside(() => this.#readAll());
    });
    reader.on('close', () => {
      this.#aside(() => connected(false));
      this.#aside(() => memory?.(null));
    });
  }

  /** Gathers publications for a moment, so that many of them cost one search of the jobs. */
  #gather(key: string): void {
    this.#published.add(key);
    this.#gathering ??= setTimeout(() => {
      this.#gathering = undefined;
      const published = new Set(this.#published);
      this.#published.clear();
      this.#aside(() => {
        for (const job of this.#settings.jobs()) if (published.has(job.key)) this.#reads.request(job);
      });
    }, GATHER_MS);
  }

  async #subscribe(): Promise<void> {
    if (this.#subscriber.status !== 'ready') return;
    try {
      await this.#subscriber.subscribe(PROGRESS_CHANNEL);
      this.#isSubscribed = true;
      // Earlier publications were missed.
      this.#readAll();
    } catch (error) {
      if (!this.#closed)
        this.#settings.log.warn({ reason: String(error) }, 'cannot subscribe to progress; polling instead');
    }
  }

  /** Uses a separate connection, with a higher limit of answers. */
  async #readReport(uid: string): Promise<RunReport | null> {
    if (this.#nodes.seed.status !== 'ready') throw new Error('Redis does not answer');
    const nodes = new RedisNodes({
      ...this.#options,
      maxReplyBytes: MAX_REPORT_BYTES + MAX_REPLY_BYTES,
      retryStrategy: () => null,
    });
    try {
      await nodes.seed.connect();
      return await nodes.at(uid, (node) => readReport(node, uid));
    } finally {
      nodes.close();
    }
  }

  #aside(work: () => void | Promise<void>): void {
    aside(this.#settings.log, work);
  }

  #readAll(): void {
    if (this.#nodes.seed.status !== 'ready') return;
    for (const job of this.#settings.jobs()) this.#reads.request(job);
    this.#aside(() => this.#measure());
  }

  async #measure(): Promise<void> {
    const { memory } = this.#settings;
    if (memory === undefined) return;
    const measured = await readRedisMemory(this.#nodes).catch(() => null);
    memory(this.#nodes.seed.status === 'ready' ? measured : null);
  }

  async #read({ key, uid }: MirroredJob): Promise<void> {
    try {
      const stored = await this.#nodes.at(uid, (node) => readProgress(node, uid));
      // The job may have been deleted meanwhile.
      if (stored === null || this.#closed || !this.#settings.jobs().some((job) => job.uid === uid)) return;
      if (isDeepStrictEqual(stored, this.#known.get(uid)?.stored)) return;
      this.#known.set(uid, { stored, progress: notAfter(stored, this.#settings.now()) });
      this.#settings.changed(key);
    } catch (error) {
      if (!this.#closed) this.#settings.log.warn({ key, reason: errorMessage(error) }, 'cannot read progress');
    }
  }
}

/** Replaces a time in the future by now: otherwise a stalled job would seem to make progress until then. */
const notAfter = (progress: JobProgress, now: number): JobProgress =>
  Date.parse(progress.at) > now ? { ...progress, at: new Date(now).toISOString() } : progress;
