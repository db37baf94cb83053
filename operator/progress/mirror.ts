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
import { readRedisMemory } from '../redis/memory.ts';
import type { RedisMemory } from '../redis/memory.ts';
import { RedisNodes } from '../redis/nodes.ts';
import { openGuarded } from '../redis/open.ts';
import type { GuardedOptions } from '../redis/open.ts';
import { removeJobKeys } from '../redis/remove-job-keys.ts';
import { MAX_REPORT_BYTES, readProgress, readReport } from './read-json.ts';
import { RedisTrouble } from './redis-trouble.ts';

/** A job that tells of its progress through the mirror's Redis; `key` is `namespace/name`. */
export interface MirroredJob {
  readonly key: string;
  readonly uid: string;
}

export interface MirrorSettings {
  readonly endpoint: RedisEndpoint;
  /** PEM of the authority that signed Redis's certificate; without it the system's authorities count. */
  readonly ca?: string;
  readonly log: Logger;
  /** Jobs that are not over and use this Redis. */
  jobs(): readonly MirroredJob[];
  /** There is news of the job: enqueue it. */
  changed(key: string): void;
  /** Redis answers, or does not any more. */
  connected(isConnected: boolean): void;
  /**
   * What Redis says of its memory, asked as often as jobs are looked at; null: it says nothing. Without it nobody asks.
   */
  readonly memory?: (memory: RedisMemory | null) => void;
  /** Milliseconds since 1970. */
  now(): number;
  /** How often every job is looked at though nothing was published. */
  readonly pollMs?: number;
  /** Least time between two readings of one job, and so between two changes of its status that are progress alone. */
  readonly pauseMs?: number;
}

const POLL_MS = 15_000;
const PAUSE_MS = 2_000;
const HEARING_MS = 10;

/** Limit of ordinary answers: progress, INFO, and names of keys. */
const MAX_REPLY_BYTES = 256 * 1024;

/**
 * What server pods tell through one Redis, by the job's uid. Publications only say when to look; what counts is what is
 * read. What is there was written by the newest server pod, as writes are fenced in Redis; a sequence number in the
 * message could be forged to block later ones. Without Redis, what was last known stays, and the operator goes on. Each
 * node of a Redis Cluster passes publications on, so that the one of the URL is enough to hear them; reading goes to
 * the node that has the job's keys.
 */
export class ProgressMirror {
  readonly #settings: MirrorSettings;
  readonly #pauseMs: number;
  readonly #trouble: RedisTrouble;
  readonly #options: GuardedOptions;
  readonly #subscriber: Redis;
  readonly #nodes: RedisNodes;
  /** `told`: as it lies in Redis; `progress`: as it is believed. */
  readonly #known = new Map<string, { readonly told: JobProgress; readonly progress: JobProgress }>();
  /** Jobs read within the last pause, and whether to read them again after it. */
  readonly #resting = new Map<string, { timer: NodeJS.Timeout; again: boolean }>();
  /** Keys of jobs with a publication that have not been read yet. */
  readonly #heard = new Set<string>();
  #hearing: NodeJS.Timeout | undefined;
  readonly #poll: NodeJS.Timeout;
  #isSubscribed = false;
  /** Reports are read one at a time, as they may be large. */
  #report: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(settings: MirrorSettings) {
    this.#settings = settings;
    this.#pauseMs = settings.pauseMs ?? PAUSE_MS;
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
    this.#listen();
    this.#poll = setInterval(() => {
      if (!this.#isSubscribed) this.#aside(() => this.#subscribe());
      this.#aside(() => this.#lookAtAll());
    }, settings.pollMs ?? POLL_MS);
    for (const redis of [this.#subscriber, this.#nodes.seed]) redis.connect().catch(() => undefined);
  }

  /** What the job's server pod last told; null: nothing yet. */
  progressOf(uid: string): JobProgress | null {
    return this.#known.get(uid)?.progress ?? null;
  }

  /** The job's report as it stands; null: none yet. Rejects when Redis does not answer, or holds something else. */
  reportOf(uid: string): Promise<RunReport | null> {
    const report = this.#report.then(() => this.#readReport(uid));
    this.#report = report.catch(() => undefined);
    return report;
  }

  /** Removes the job's keys. Rejects when Redis does not answer. */
  async sweep(uid: string): Promise<void> {
    await this.#nodes.at(uid, (node) => removeJobKeys(node, uid));
  }

  /** The job is gone. */
  forget(uid: string): void {
    this.#known.delete(uid);
    clearTimeout(this.#resting.get(uid)?.timer);
    this.#resting.delete(uid);
    this.#nodes.forget(uid);
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#poll);
    clearTimeout(this.#hearing);
    for (const { timer } of this.#resting.values()) clearTimeout(timer);
    this.#resting.clear();
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
    subscriber.on('message', (_channel: string, key: string) => this.#hear(key));
    reader.on('ready', () => {
      this.#aside(() => connected(true));
      this.#aside(() => this.#lookAtAll());
    });
    reader.on('close', () => {
      this.#aside(() => connected(false));
      this.#aside(() => memory?.(null));
    });
  }

  /** Many publications at once cost one search of the jobs. */
  #hear(key: string): void {
    this.#heard.add(key);
    this.#hearing ??= setTimeout(() => {
      this.#hearing = undefined;
      const heard = new Set(this.#heard);
      this.#heard.clear();
      this.#aside(() => {
        for (const job of this.#settings.jobs()) if (heard.has(job.key)) this.#look(job);
      });
    }, HEARING_MS);
  }

  async #subscribe(): Promise<void> {
    if (this.#subscriber.status !== 'ready') return;
    try {
      await this.#subscriber.subscribe(PROGRESS_CHANNEL);
      this.#isSubscribed = true;
      // What was published before this is not heard.
      this.#lookAtAll();
    } catch (error) {
      if (!this.#closed)
        this.#settings.log.warn({ reason: String(error) }, 'cannot subscribe to progress; looking from time to time');
    }
  }

  /** With a connection of its own, which allows larger answers than the others. */
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

  #lookAtAll(): void {
    if (this.#nodes.seed.status !== 'ready') return;
    for (const job of this.#settings.jobs()) this.#look(job);
    this.#aside(() => this.#measure());
  }

  async #measure(): Promise<void> {
    const { memory } = this.#settings;
    if (memory === undefined) return;
    const told = await readRedisMemory(this.#nodes).catch(() => null);
    memory(this.#nodes.seed.status === 'ready' ? told : null);
  }

  /** At once, but at most once in a pause; what comes in between is looked at after it. */
  #look(job: MirroredJob): void {
    if (this.#closed) return;
    const resting = this.#resting.get(job.uid);
    if (resting !== undefined) {
      resting.again = true;
      return;
    }
    const timer = setTimeout(() => {
      const again = this.#resting.get(job.uid)?.again === true;
      this.#resting.delete(job.uid);
      if (again) this.#look(job);
    }, this.#pauseMs);
    this.#resting.set(job.uid, { timer, again: false });
    this.#aside(() => this.#read(job));
  }

  async #read({ key, uid }: MirroredJob): Promise<void> {
    try {
      const told = await this.#nodes.at(uid, (node) => readProgress(node, uid));
      // A job that went meanwhile is not brought back.
      if (told === null || this.#closed || !this.#settings.jobs().some((job) => job.uid === uid)) return;
      if (isDeepStrictEqual(told, this.#known.get(uid)?.told)) return;
      this.#known.set(uid, { told, progress: heardBy(told, this.#settings.now()) });
      this.#settings.changed(key);
    } catch (error) {
      if (!this.#closed) this.#settings.log.warn({ key, reason: errorMessage(error) }, 'cannot read progress');
    }
  }
}

/**
 * What is told for the first time was told by now at the latest: a time to come would hide for as long that nothing
 * more is told.
 */
const heardBy = (progress: JobProgress, now: number): JobProgress =>
  Date.parse(progress.at) > now ? { ...progress, at: new Date(now).toISOString() } : progress;
