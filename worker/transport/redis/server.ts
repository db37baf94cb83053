import { randomUUID } from 'node:crypto';
import { Queue, Worker } from 'bullmq';
import Type from 'typebox';
import Value from 'typebox/value';
import { KEYS_TTL_SECONDS, QUEUE, TENSOR } from '../../cluster/redis-keys.ts';
import type { JobKeys } from '../../cluster/redis-keys.ts';
import type { Arrival, RoundId, Sealed, ServerTransport, Task } from '../contract.ts';
import { Refused } from '../../../crds/facts/refusal.ts';
import { openRedis } from './connect.ts';
import type { RedisAddress } from './connect.ts';
import { Fence, Fenced } from './fence.ts';
import { endedKey, MAX_HEADER_BYTES, maxResultBytes, MAX_TASK_BYTES, packageName, taskId } from './names.ts';
import { DEAF } from './patience.ts';
import type { RedisListener } from './patience.ts';
import { Pending, poller, within } from './pending.ts';
import { cleanQueue, finish } from './queue-guard.ts';
import type { RedisConnection } from './redis-cluster.ts';
import { RedisTensors } from './tensors.ts';

const Result = Type.Object({
  header: Type.String(),
  name: Type.String({ pattern: `^${TENSOR.result}[0-9a-f-]{36}$` }),
  bytes: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
  sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
});

export interface ServerTransportOptions {
  /** Maximum size of a result's header, in bytes. */
  readonly maxHeaderBytes?: number;
  readonly listener?: RedisListener;
}

/**
 * The server pod's end of the data plane. Once a later server pod has acquired the fence, every call throws `Fenced`.
 */
export class RedisServerTransport implements ServerTransport {
  readonly #keys: JobKeys;
  readonly #queues: RedisConnection;
  readonly #bytes: RedisConnection;
  readonly #fence: Fence;
  readonly #tensors: RedisTensors;
  readonly #tasks: Queue;
  readonly #results: Worker;
  readonly #maxHeaderBytes: number;
  readonly #pending = new Pending();
  /** Ids of the tasks dispatched in rounds that have not ended, by the round's package. */
  readonly #dispatched = new Map<string, Set<string>>();

  /** @param token of the fence this server pod has acquired */
  constructor(
    address: RedisAddress,
    keys: JobKeys,
    token: number,
    { maxHeaderBytes = MAX_HEADER_BYTES, listener = DEAF }: ServerTransportOptions = {},
  ) {
    this.#keys = keys;
    this.#maxHeaderBytes = maxHeaderBytes;
    this.#queues = openRedis(address, listener);
    this.#bytes = openRedis(address, listener);
    this.#fence = new Fence(this.#bytes, keys, token);
    this.#tensors = new RedisTensors(this.#bytes, keys, KEYS_TTL_SECONDS);
    const { prefix } = keys;
    this.#tasks = new Queue(QUEUE.tasks, { connection: this.#queues, prefix });
    this.#results = new Worker(QUEUE.results, null, {
      connection: this.#queues,
      prefix,
      autorun: false,
      maxStalledCount: 1000,
    });
    this.#tasks.on('error', (error) => listener.failed(error));
    this.#results.on('error', (error) => listener.failed(error));
    // It emits its errors.
    this.#results.startStalledCheckTimer().catch(() => undefined);
  }

  publish(round: RoundId, roundPackage: Sealed): Promise<void> {
    const copy = { ...roundPackage, bytes: new Uint8Array(roundPackage.bytes) };
    return this.#pending.run(async () => {
      await this.#tensors.write(packageName(round), copy, this.#fence);
      await this.#fence.run('UNLINK', [endedKey(this.#keys, round)]);
    });
  }

  dispatch(task: Task): Promise<void> {
    return this.#pending.run(async () => {
      await this.#fence.check();
      const ids = this.#dispatched.get(packageName(task)) ?? new Set();
      this.#dispatched.set(packageName(task), ids.add(taskId(task)));
      // An entry with this id that is queued or active is kept.
      await this.#tasks.add('task', task, {
        jobId: taskId(task),
        removeOnComplete: true,
        removeOnFail: true,
        sizeLimit: MAX_TASK_BYTES,
      });
    });
  }

  async receive(signal: AbortSignal): Promise<Arrival | null> {
    const { closing } = this.#pending;
    const pause = poller(AbortSignal.any([signal, closing]));
    for (;;) {
      if (closing.aborted) return null;
      const last = signal.aborted;
      const arrival = await this.#pending.run(() => this.#poll());
      if (arrival !== null || last) return arrival;
      await pause();
    }
  }

  unlink(round: RoundId): Promise<void> {
    return this.#pending.run(async () => {
      await this.#fence.run('SET', [endedKey(this.#keys, round)], [1, 'EX', KEYS_TTL_SECONDS]);
      await this.#tensors.unlink(packageName(round));
      // A task that a client takes meanwhile is withdrawn from that client.
      const ids = this.#dispatched.get(packageName(round)) ?? [];
      this.#dispatched.delete(packageName(round));
      await Promise.allSettled([...ids].map((id) => this.#tasks.remove(id)));
    });
  }

  async close(): Promise<void> {
    await this.#pending.end();
    await within(Promise.all([this.#results.close(), this.#tasks.close()]));
    for (const redis of [this.#queues, this.#bytes]) redis.disconnect();
  }

  /** Takes the oldest result out of the queue: from then on the server is responsible for it. */
  async #poll(): Promise<Arrival | null> {
    await this.#fence.check();
    const dropped = await cleanQueue(this.#bytes, this.#keys, 'results', maxResultBytes(this.#maxHeaderBytes));
    if (dropped > 0) return malformed(`${dropped} entries of the result queue are invalid`);
    const token = randomUUID();
    const job = await this.#results.getNextJob(token, { block: false });
    if (!job) return null;
    try {
      await this.#fence.check();
    } catch (error) {
      if (error instanceof Fenced) await job.moveToWait(token);
      throw error;
    }
    await finish(job, token);
    return this.#arrival(job.data);
  }

  #arrival(data: unknown): Arrival {
    if (!Value.Check(Result, data) || data.header.length > this.#maxHeaderBytes)
      return malformed('the entry is not a result');
    const { header, name, bytes } = data;
    const read = async () => {
      const payload = await this.#tensors.read(name, data, 'the payload of a result', 'wrong-digest');
      await this.#tensors.unlink(name);
      return payload;
    };
    return { header, bytes, read: () => this.#pending.run(read) };
  }
}

/** An arrival that is not a result: reading it throws the refusal. */
function malformed(why: string): Arrival {
  return { header: '', bytes: 0, read: () => Promise.reject(new Refused('malformed', why)) };
}
