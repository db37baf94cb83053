import { randomUUID } from 'node:crypto';
import { Worker } from 'bullmq';
import type { Job } from 'bullmq';
import Type from 'typebox';
import Value from 'typebox/value';
import { KEYS_TTL_SECONDS, QUEUE } from '../../cluster/redis-keys.ts';
import type { JobKeys } from '../../cluster/redis-keys.ts';
import { checkSeal } from '../package.ts';
import type { ClientTransport, Delivery, Submission, Task } from '../contract.ts';
import { TransportClosed } from '../contract.ts';
import { Bell } from './bell.ts';
import { RedisChunks } from './chunks.ts';
import { openRedis } from './connect.ts';
import type { RedisAddress } from './connect.ts';
import { endedKey, freshResultName, MAX_HEADER_BYTES, packageName } from './names.ts';
import { DEAF } from './patience.ts';
import type { RedisListener } from './patience.ts';
import { Pending, poller, within } from './pending.ts';
import { cleanTasks, finish } from './queue-guard.ts';
import type { RedisConnection } from './redis-cluster.ts';
import { RESULT_TTL_SECONDS, ResultQueue } from './result-queue.ts';
import type { ResultEntry } from './result-queue.ts';
import { keepTasks, taskBell } from './task-queue.ts';
import { RedisTensors } from './tensors.ts';

const DEFAULT_LOCK_MS = 30_000;
/** How often to look whether a task is still wanted. */
const MAX_BEAT_MS = 1_000;
const MIB = 2 ** 20;

const count = (minimum: number) => Type.Integer({ minimum, maximum: Number.MAX_SAFE_INTEGER });
const TaskSchema = Type.Object({
  job: Type.String(),
  round: count(1),
  attempt: count(1),
  client: count(0),
  sha256: Type.String({ pattern: '^([0-9a-f]{64})?$' }),
  bytes: count(0),
});

export interface ClientTransportOptions {
  /** Time after which the tasks of a dead client go to others. */
  readonly lockMs?: number;
  /** Maximum size of a submission's header, in bytes. */
  readonly maxHeaderBytes?: number;
  readonly listener?: RedisListener;
}

interface Held {
  readonly job: Job;
  readonly task: Task;
  readonly token: string;
  readonly withdraw: AbortController;
  /** When its lock was set, by performance.now(). */
  lockedAt: number;
}

/** One client's end of the data plane. The locks of its tasks are renewed as long as its event loop runs. */
export class RedisClientTransport implements ClientTransport {
  readonly #keys: JobKeys;
  readonly #queues: RedisConnection;
  readonly #bytes: RedisConnection;
  readonly #packages: RedisTensors;
  readonly #payloads: RedisChunks;
  readonly #tasks: Worker;
  readonly #taskBell: Bell;
  readonly #results: ResultQueue;
  readonly #held = new Map<AbortSignal, Held>();
  readonly #pending = new Pending();
  readonly #lockMs: number;
  readonly #maxHeaderBytes: number;
  readonly #listener: RedisListener;
  readonly #beat: NodeJS.Timeout;
  #beating = false;

  constructor(
    address: RedisAddress,
    keys: JobKeys,
    { lockMs = DEFAULT_LOCK_MS, maxHeaderBytes = MAX_HEADER_BYTES, listener = DEAF }: ClientTransportOptions = {},
  ) {
    this.#keys = keys;
    this.#lockMs = lockMs;
    this.#maxHeaderBytes = maxHeaderBytes;
    this.#listener = listener;
    this.#queues = openRedis(address, listener);
    this.#bytes = openRedis(address, listener);
    this.#packages = new RedisTensors(this.#bytes, keys, KEYS_TTL_SECONDS);
    this.#payloads = new RedisChunks(this.#bytes, keys, RESULT_TTL_SECONDS);
    this.#results = new ResultQueue(this.#bytes, keys);
    this.#taskBell = new Bell(address, taskBell(keys), listener);
    this.#tasks = new Worker(QUEUE.tasks, null, {
      connection: this.#queues,
      prefix: keys.prefix,
      autorun: false,
      lockDuration: lockMs,
      stalledInterval: lockMs,
      // A task is handed out again after each loss of the pod that holds it, until the round's deadline.
      maxStalledCount: 1_000_000,
      removeOnComplete: { count: 0 },
    });
    this.#tasks.on('error', (error) => listener.failed(error));
    // It emits its errors.
    this.#tasks.startStalledCheckTimer().catch(() => undefined);
    this.#beat = setInterval(() => this.#renew(), Math.min(MAX_BEAT_MS, lockMs / 4));
  }

  async take(signal: AbortSignal): Promise<Delivery | null> {
    const { closing } = this.#pending;
    const stop = AbortSignal.any([signal, closing]);
    while (!stop.aborted) {
      const delivery = await this.#pending.run(() => this.#poll());
      if (delivery !== null) return delivery;
      await this.#taskBell.wait(stop);
    }
    return null;
  }

  fetch(task: Task): Promise<Uint8Array> {
    const what = `the package of round ${task.round}`;
    return this.#pending.run(async () => {
      const bytes = await this.#packages.read(packageName(task), task, what, 'late');
      checkSeal(bytes, task, what);
      return bytes;
    });
  }

  async submit({ withdrawn }: Delivery, { header, payload, sha256 }: Submission): Promise<void> {
    if (Buffer.byteLength(header) > this.#maxHeaderBytes)
      throw new Error(`a header of more than ${this.#maxHeaderBytes} bytes`);
    const bytes = new Uint8Array(payload);
    const entry = { name: freshResultName(), bytes: bytes.byteLength, sha256 };
    await this.#room(entry);
    await this.#pending.run(async () => {
      await this.#payloads.write(entry.name, bytes);
      await this.#results.send(entry, header);
      const held = this.#held.get(withdrawn);
      this.#held.delete(withdrawn);
      if (held !== undefined) await this.#finish(held);
    });
  }

  async close(): Promise<void> {
    await this.#pending.end();
    clearInterval(this.#beat);
    const left = [...this.#held.values()];
    this.#held.clear();
    // If Redis does not answer, the locks expire.
    await within(Promise.allSettled(left.map((held) => this.#giveBack(held))));
    this.#taskBell.close();
    await within(this.#tasks.close());
    for (const redis of [this.#queues, this.#bytes]) redis.disconnect();
  }

  async #poll(): Promise<Delivery | null> {
    const { waiting, dropped } = await cleanTasks(this.#bytes, this.#keys);
    if (dropped > 0) this.#listener.failed(new Error(`${dropped} invalid entries were removed from the task queue`));
    if (waiting === 0) return null;
    const token = randomUUID();
    const job = await this.#tasks.getNextJob(token, { block: false });
    if (!job) return null;
    const task: unknown = job.data;
    const isOurs = Value.Check(TaskSchema, task);
    const [isOver] = await Promise.all([
      isOurs && this.#hasEnded(task),
      keepTasks(this.#bytes, this.#keys, ['active', 'marker']),
    ]);
    if (!isOurs || isOver) {
      await this.#finish({ job, token });
      return null;
    }
    if (this.#pending.closing.aborted) {
      await this.#giveBack({ job, token });
      return null;
    }
    const withdraw = new AbortController();
    this.#held.set(withdraw.signal, { job, task, token, withdraw, lockedAt: performance.now() });
    return { task, withdrawn: withdraw.signal };
  }

  async #hasEnded(task: Task): Promise<boolean> {
    return (await this.#bytes.exists(endedKey(this.#keys, task))) === 1;
  }

  async #finish({ job, token }: Pick<Held, 'job' | 'token'>): Promise<void> {
    await finish(job, token);
    await keepTasks(this.#bytes, this.#keys, []);
  }

  async #giveBack({ job, token }: Pick<Held, 'job' | 'token'>): Promise<void> {
    await job.moveToWait(token);
    await keepTasks(this.#bytes, this.#keys, ['wait', 'marker']);
  }

  /** Waits until the server has read enough of the earlier results. */
  async #room(entry: ResultEntry): Promise<void> {
    const { closing } = this.#pending;
    const pause = poller(closing);
    for (;;) {
      const unread = await this.#pending.run(() => this.#results.reserve(entry));
      if (unread === null) return;
      const size = `${Math.ceil(unread.bytes / MIB)} MiB`;
      this.#listener.waits(`a result waits: the server has not read ${unread.results} others, of ${size}`);
      await pause();
      if (closing.aborted) throw new TransportClosed();
    }
  }

  /** Renews the locks of all tasks, and withdraws those that were lost or whose round has ended. */
  #renew(): void {
    if (this.#beating) return;
    this.#beating = true;
    Promise.all([...this.#held].map(([signal, held]) => this.#renewOne(signal, held)))
      // Redis is down: the next beat retries, and notices locks that have expired.
      .catch(() => undefined)
      .finally(() => (this.#beating = false));
  }

  async #renewOne(signal: AbortSignal, held: Held): Promise<void> {
    const ended = await this.#hasEnded(held.task);
    const renewed = ended || (await this.#extendLock(held));
    if ((!ended && renewed) || !this.#held.delete(signal)) return;
    held.withdraw.abort();
    if (ended) await this.#finish(held);
  }

  /** Renews a lock when a quarter of its time has passed. @returns false if it was lost */
  async #extendLock(held: Held): Promise<boolean> {
    const now = performance.now();
    if (now - held.lockedAt < this.#lockMs / 4) return true;
    if ((await held.job.extendLock(held.token, this.#lockMs)) !== 1) return false;
    held.lockedAt = now;
    // BullMQ's check for lost tasks creates such keys.
    await keepTasks(this.#bytes, this.#keys, ['wait', 'active', 'stalled', 'marker']);
    return true;
  }
}
