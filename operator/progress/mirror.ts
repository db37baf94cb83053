import { isDeepStrictEqual } from 'node:util';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import type { JobProgress } from '../../worker/cluster/progress.ts';
import { PROGRESS_CHANNEL } from '../../worker/cluster/redis-keys.ts';
import type { RunReport } from '../../worker/events.ts';
import { isClusterNode, openCluster, openSingle } from '../../worker/transport/redis/redis-cluster.ts';
import type { ConnectionOptions, RedisConnection } from '../../worker/transport/redis/redis-cluster.ts';
import type { RedisEndpoint } from '../../worker/transport/redis/redis-url.ts';
import { removeJobKeys } from '../../worker/transport/redis/remove-job-keys.ts';
import { readProgress, readReport } from './read-json.ts';
import { readRedisMemory } from './redis-memory.ts';
import type { RedisMemory } from './redis-memory.ts';

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
  /** What Redis says of its memory, asked as often as jobs are looked at; null: it says nothing. Without it nobody asks. */
  readonly memory?: (memory: RedisMemory | null) => void;
  /** How often every job is looked at though nothing was published. */
  readonly pollMs?: number;
  /** Least time between two readings of one job, and so between two changes of its status that are progress alone. */
  readonly pauseMs?: number;
}

const POLL_MS = 15_000;
const PAUSE_MS = 2_000;
const TIMEOUT_MS = 5_000;
const MAX_RECONNECT_DELAY_MS = 5_000;

/**
 * What server pods tell through one Redis, by the job's uid. Publications only say when to look; what counts is what is read. What is there was
 * written by the newest server pod, as writes are fenced in Redis; an order claimed in the message could shut out all that comes after it. Without
 * Redis, what was last known stays, and the operator goes on. Each node of a Redis Cluster passes publications on, so that the one of
 * the URL is enough to hear them; reading goes to the node that has the job's keys.
 */
export class ProgressMirror {
  readonly #settings: MirrorSettings;
  readonly #pauseMs: number;
  readonly #options: ConnectionOptions;
  readonly #subscriber: Redis;
  /** Null until the subscriber knows what to read from. */
  #reader: RedisConnection | null = null;
  readonly #known = new Map<string, JobProgress>();
  /** Jobs read within the last pause, and whether to read them again after it. */
  readonly #resting = new Map<string, { timer: NodeJS.Timeout; again: boolean }>();
  readonly #poll: NodeJS.Timeout;
  #closed = false;

  constructor(settings: MirrorSettings) {
    this.#settings = settings;
    this.#pauseMs = settings.pauseMs ?? PAUSE_MS;
    // Commands fail at once while Redis is away: the next poll is soon, and nobody waits.
    this.#options = {
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      commandTimeout: TIMEOUT_MS,
      connectTimeout: TIMEOUT_MS,
      retryStrategy: (attempt: number) => Math.min(100 * 2 ** Math.min(attempt, 10), MAX_RECONNECT_DELAY_MS),
      ...(settings.ca !== undefined ? { tls: { ca: settings.ca } } : {}),
    };
    this.#subscriber = openSingle(settings.endpoint, { ...this.#options, autoResubscribe: false });
    settings.connected(false);
    this.#tellErrors('subscriber', this.#subscriber);
    this.#subscriber.on('ready', () => void this.#subscribe());
    this.#subscriber.on('message', (_channel: string, key: string) => {
      const job = settings.jobs().find((each) => each.key === key);
      if (job !== undefined) this.#look(job);
    });
    this.#poll = setInterval(() => void (this.#reader === null ? this.#subscribe() : this.#lookAtAll()), settings.pollMs ?? POLL_MS);
  }

  /** What the job's server pod last told; null: nothing yet. */
  progressOf(uid: string): JobProgress | null {
    return this.#known.get(uid) ?? null;
  }

  /** The job's report as it stands; null: none yet. Throws when Redis does not answer, or holds something else. */
  async reportOf(uid: string): Promise<RunReport | null> {
    return readReport(this.#connectedReader(), uid);
  }

  /** Removes the job's keys. Rejects when Redis does not answer. */
  async sweep(uid: string): Promise<void> {
    await removeJobKeys(this.#connectedReader(), uid);
  }

  /** The job is gone. */
  forget(uid: string): void {
    this.#known.delete(uid);
    clearTimeout(this.#resting.get(uid)?.timer);
    this.#resting.delete(uid);
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#poll);
    for (const { timer } of this.#resting.values()) clearTimeout(timer);
    this.#resting.clear();
    for (const redis of [this.#reader, this.#subscriber]) redis?.disconnect();
  }

  async #subscribe(): Promise<void> {
    if (this.#subscriber.status !== 'ready') return;
    try {
      if (this.#reader === null) {
        const info = await this.#subscriber.info('server');
        if (this.#closed) return;
        this.#reader ??= this.#openReader(isClusterNode(info));
      }
      await this.#subscriber.subscribe(PROGRESS_CHANNEL);
      // What was published before this is not heard.
      this.#lookAtAll();
    } catch (error) {
      this.#settings.log.warn({ reason: String(error) }, 'cannot subscribe to progress; looking from time to time');
    }
  }

  #openReader(isCluster: boolean): RedisConnection {
    const { endpoint, connected } = this.#settings;
    const reader = isCluster ? openCluster(endpoint, this.#options) : openSingle(endpoint, this.#options);
    this.#tellErrors('reader', reader);
    reader.on('ready', () => {
      connected(true);
      this.#lookAtAll();
    });
    reader.on('close', () => {
      connected(false);
      this.#settings.memory?.(null);
    });
    return reader;
  }

  #connectedReader(): RedisConnection {
    if (this.#reader === null) throw new Error('Redis does not answer');
    return this.#reader;
  }

  #tellErrors(connection: string, redis: RedisConnection): void {
    let told = '';
    redis.on('ready', () => (told = ''));
    redis.on('error', ({ message }: Error) => {
      // Once a reason, and not with every try to connect.
      if (message !== told) this.#settings.log.warn({ connection, reason: message }, 'Redis does not answer');
      told = message;
    });
  }

  #lookAtAll(): void {
    if (this.#reader?.status !== 'ready') return;
    for (const job of this.#settings.jobs()) this.#look(job);
    void this.#measure(this.#reader);
  }

  async #measure(reader: RedisConnection): Promise<void> {
    const { memory } = this.#settings;
    if (memory === undefined) return;
    const told = await readRedisMemory(reader).catch(() => null);
    memory(reader.status === 'ready' ? told : null);
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
    void this.#read(job);
  }

  async #read({ key, uid }: MirroredJob): Promise<void> {
    try {
      const progress = await readProgress(this.#connectedReader(), uid);
      // A job that went meanwhile is not brought back.
      if (progress === null || this.#closed || !this.#settings.jobs().some((job) => job.uid === uid)) return;
      if (isDeepStrictEqual(progress, this.#known.get(uid))) return;
      this.#known.set(uid, progress);
      this.#settings.changed(key);
    } catch (error) {
      if (!this.#closed) this.#settings.log.warn({ key, reason: error instanceof Error ? error.message : String(error) }, 'cannot read progress');
    }
  }
}
