import { randomUUID } from 'node:crypto';
import { Queue, Worker } from 'bullmq';
import type { Job } from 'bullmq';
import Type from 'typebox';
import Value from 'typebox/value';
import { QUEUE } from '../../cluster/redis-keys.ts';
import type { JobKeys } from '../../cluster/redis-keys.ts';
import { checkSeal } from '../package.ts';
import type { ClientTransport, Delivery, Submission, Task } from '../contract.ts';
import { TransportClosed } from '../contract.ts';
import { openRedis } from './connect.ts';
import type { RedisAddress } from './connect.ts';
import { endedKey, freshResultName, MAX_HEADER_BYTES, maxResultBytes, MAX_TASK_BYTES, packageName } from './names.ts';
import { DEAF } from './patience.ts';
import type { RedisListener } from './patience.ts';
import { Pending, poller, within } from './pending.ts';
import { cleanQueue, finish } from './queue-guard.ts';
import type { RedisConnection } from './redis-cluster.ts';
import { RedisTensors } from './tensors.ts';

/**
 * Unread results in Redis at which clients wait with theirs, as each contains an adapter. Clients that submit at the
 * same time may exceed it.
 */
const UNREAD_RESULTS = 64;
/** How long a result stays in Redis if the server does not take it. */
const RESULT_TTL_SECONDS = 24 * 3600;
const DEFAULT_LOCK_MS = 30_000;
const MAX_BEAT_MS = 1_000;

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
}

/** One client's end of the data plane. The locks of its tasks are renewed as long as its event loop runs. */
export class RedisClientTransport implements ClientTransport {
  readonly #keys: JobKeys;
  readonly #queues: RedisConnection;
  readonly #bytes: RedisConnection;
  readonly #tensors: RedisTensors;
  readonly #tasks: Worker;
  readonly #results: Queue;
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
    this.#tensors = new RedisTensors(this.#bytes, keys, RESULT_TTL_SECONDS);
    const options = { connection: this.#queues, prefix: keys.prefix };
    this.#results = new Queue(QUEUE.results, options);
    this.#tasks = new Worker(QUEUE.tasks, null, {
      ...options,
      autorun: false,
      lockDuration: lockMs,
      stalledInterval: lockMs,
      // A task is handed out again after each loss of the pod that holds it, until the round's deadline.
      maxStalledCount: 1_000_000,
      removeOnComplete: { count: 0 },
    });
    this.#tasks.on('error', (error) => listener.failed(error));
    this.#results.on('error', (error) => listener.failed(error));
    // It emits its errors.
    this.#tasks.startStalledCheckTimer().catch(() => undefined);
    this.#beat = setInterval(() => this.#renew(), Math.min(MAX_BEAT_MS, lockMs / 4));
  }

  async take(signal: AbortSignal): Promise<Delivery | null> {
    const { closing } = this.#pending;
    const stop = AbortSignal.any([signal, closing]);
    const pause = poller(stop);
    while (!stop.aborted) {
      const delivery = await this.#pending.run(() => this.#poll());
      if (delivery !== null) return delivery;
      await pause();
    }
    return null;
  }

  fetch(task: Task): Promise<Uint8Array> {
    const what = `the package of round ${task.round}`;
    return this.#pending.run(async () => {
      const bytes = await this.#tensors.read(packageName(task), task, what, 'late');
      checkSeal(bytes, task, what);
      return bytes;
    });
  }

  async submit({ withdrawn }: Delivery, { header, payload, sha256 }: Submission): Promise<void> {
    if (Buffer.byteLength(header) > this.#maxHeaderBytes)
      throw new Error(`a header of more than ${this.#maxHeaderBytes} bytes`);
    const bytes = new Uint8Array(payload);
    const name = freshResultName();
    await this.#room();
    await this.#pending.run(async () => {
      await this.#tensors.write(name, { bytes, sha256 });
      const result = { header, name, bytes: bytes.byteLength, sha256 };
      const options = {
        jobId: name,
        removeOnComplete: true,
        removeOnFail: true,
        sizeLimit: maxResultBytes(this.#maxHeaderBytes),
      };
      await this.#results.add('result', result, options);
      const held = this.#held.get(withdrawn);
      this.#held.delete(withdrawn);
      if (held !== undefined) await finish(held.job, held.token);
    });
  }

  async close(): Promise<void> {
    await this.#pending.end();
    clearInterval(this.#beat);
    const left = [...this.#held.values()];
    this.#held.clear();
    // If Redis does not answer, the locks expire.
    await within(Promise.allSettled(left.map(({ job, token }) => job.moveToWait(token))));
    await within(Promise.all([this.#tasks.close(), this.#results.close()]));
    for (const redis of [this.#queues, this.#bytes]) redis.disconnect();
  }

  async #poll(): Promise<Delivery | null> {
    const dropped = await cleanQueue(this.#bytes, this.#keys, 'tasks', MAX_TASK_BYTES);
    if (dropped > 0) this.#listener.failed(new Error(`${dropped} invalid entries were removed from the task queue`));
    const token = randomUUID();
    const job = await this.#tasks.getNextJob(token, { block: false });
    if (!job) return null;
    const task: unknown = job.data;
    if (!Value.Check(TaskSchema, task) || (await this.#bytes.exists(endedKey(this.#keys, task))) === 1) {
      await finish(job, token);
      return null;
    }
    if (this.#pending.closing.aborted) {
      await job.moveToWait(token);
      return null;
    }
    const withdraw = new AbortController();
    this.#held.set(withdraw.signal, { job, task, token, withdraw });
    return { task, withdrawn: withdraw.signal };
  }

  /** Waits until the server has taken enough of the earlier results. */
  async #room(): Promise<void> {
    const { closing } = this.#pending;
    const pause = poller(closing);
    while (
      (await this.#pending.run(() => this.#queues.llen(`${this.#keys.prefix}:${QUEUE.results}:wait`))) >= UNREAD_RESULTS
    )
      await pause();
    if (closing.aborted) throw new TransportClosed();
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

  async #renewOne(signal: AbortSignal, { job, task, token, withdraw }: Held): Promise<void> {
    const ended = (await this.#bytes.exists(endedKey(this.#keys, task))) === 1;
    const renewed = (await job.extendLock(token, this.#lockMs)) === 1;
    if ((!ended && renewed) || !this.#held.delete(signal)) return;
    withdraw.abort();
    if (ended) await finish(job, token);
  }
}
