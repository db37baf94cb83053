import { randomUUID } from 'node:crypto';
import { Queue } from 'bullmq';
import { KEYS_TTL_SECONDS, QUEUE } from '../../cluster/redis-keys.ts';
import type { JobKeys } from '../../cluster/redis-keys.ts';
import type { Arrival, RoundId, Sealed, ServerTransport, Task } from '../contract.ts';
import { Refused } from '../../../crds/facts/refusal.ts';
import { Bell } from './bell.ts';
import { CHUNK_BYTES, MAX_CHUNKS, RedisChunks } from './chunks.ts';
import { openRedis } from './connect.ts';
import type { RedisAddress } from './connect.ts';
import { Fence } from './fence.ts';
import { endedKey, MAX_HEADER_BYTES, MAX_TASK_BYTES, packageName, taskId } from './names.ts';
import { DEAF } from './patience.ts';
import type { RedisListener } from './patience.ts';
import { Pending, within } from './pending.ts';
import type { RedisConnection } from './redis-cluster.ts';
import { RESULT_TTL_SECONDS, ResultQueue } from './result-queue.ts';
import type { ResultEntry } from './result-queue.ts';
import { keepTasks, taskKey, taskKeys } from './task-queue.ts';
import { RedisTensors } from './tensors.ts';

/** How often the TTL of the job's keys is renewed. */
const RENEW_MS = 3600 * 1000;

/** KEYS: the fence, keys to be renewed. ARGV: token, TTL in seconds. */
const RENEW = `
for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, ARGV[2]) end
return false
`;

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
  readonly #packages: RedisTensors;
  readonly #payloads: RedisChunks;
  readonly #tasks: Queue;
  readonly #results: ResultQueue;
  readonly #resultBell: Bell;
  readonly #maxHeaderBytes: number;
  readonly #listener: RedisListener;
  readonly #pending = new Pending();
  readonly #renewal: NodeJS.Timeout;
  /** Of each round that has not ended, by the name of its package: the package's size, and ids of dispatched tasks. */
  readonly #rounds = new Map<string, { bytes: number; readonly ids: Set<string> }>();
  /** The last arrival, while its keys are in Redis. */
  #unread: ResultEntry | null = null;

  /** @param token of the fence this server pod has acquired */
  constructor(
    address: RedisAddress,
    keys: JobKeys,
    token: number,
    { maxHeaderBytes = MAX_HEADER_BYTES, listener = DEAF }: ServerTransportOptions = {},
  ) {
    this.#keys = keys;
    this.#maxHeaderBytes = maxHeaderBytes;
    this.#listener = listener;
    this.#queues = openRedis(address, listener);
    this.#bytes = openRedis(address, listener);
    this.#fence = new Fence(this.#bytes, keys, token);
    this.#packages = new RedisTensors(this.#bytes, keys, KEYS_TTL_SECONDS);
    this.#payloads = new RedisChunks(this.#bytes, keys, RESULT_TTL_SECONDS);
    this.#results = new ResultQueue(this.#bytes, keys);
    this.#resultBell = new Bell(address, this.#results.bell, listener);
    this.#tasks = new Queue(QUEUE.tasks, {
      connection: this.#queues,
      prefix: keys.prefix,
      // Otherwise it writes a key before the first task.
      skipMetasUpdate: true,
    });
    this.#tasks.on('error', (error) => listener.failed(error));
    this.#renewal = setInterval(() => this.#renew(), RENEW_MS);
  }

  publish(round: RoundId, roundPackage: Sealed): Promise<void> {
    const copy = { ...roundPackage, bytes: new Uint8Array(roundPackage.bytes) };
    return this.#pending.run(async () => {
      await this.#packages.write(packageName(round), copy, this.#fence);
      await this.#fence.run('UNLINK', [endedKey(this.#keys, round)]);
      this.#open(round).bytes = copy.bytes.byteLength;
    });
  }

  dispatch(task: Task): Promise<void> {
    return this.#pending.run(async () => {
      await this.#fence.check();
      const jobId = taskId(task);
      this.#open(task).ids.add(jobId);
      // An entry with this id that is queued or active is kept.
      await this.#tasks.add('task', task, {
        jobId,
        removeOnComplete: true,
        removeOnFail: true,
        sizeLimit: MAX_TASK_BYTES,
      });
      await keepTasks(this.#bytes, this.#keys, ['wait', 'marker', 'meta', 'id', jobId]);
    });
  }

  async receive(signal: AbortSignal): Promise<Arrival | null> {
    const { closing } = this.#pending;
    const stop = AbortSignal.any([signal, closing]);
    for (;;) {
      if (closing.aborted) return null;
      const last = signal.aborted;
      const arrival = await this.#pending.run(() => this.#poll());
      if (arrival !== null || last) return arrival;
      await this.#resultBell.wait(stop);
    }
  }

  unlink(round: RoundId): Promise<void> {
    return this.#pending.run(async () => {
      await this.#fence.run('SET', [endedKey(this.#keys, round)], [1, 'EX', KEYS_TTL_SECONDS]);
      await this.#packages.unlink(packageName(round));
      // A task that a client takes meanwhile is withdrawn from that client.
      const ids = this.#rounds.get(packageName(round))?.ids ?? [];
      this.#rounds.delete(packageName(round));
      await Promise.all([...ids].map((id) => this.#remove(id)));
      await keepTasks(this.#bytes, this.#keys, []);
    });
  }

  async close(): Promise<void> {
    clearInterval(this.#renewal);
    await this.#pending.end();
    this.#resultBell.close();
    await within(this.#tasks.close());
    for (const redis of [this.#queues, this.#bytes]) redis.disconnect();
  }

  #open(round: RoundId): { bytes: number; readonly ids: Set<string> } {
    const name = packageName(round);
    const open = this.#rounds.get(name) ?? { bytes: 0, ids: new Set() };
    this.#rounds.set(name, open);
    return open;
  }

  /** Removes a task that was not finished; one that a client works on stays until that client has noticed. */
  async #remove(id: string): Promise<void> {
    if ((await this.#bytes.exists(taskKey(this.#keys, id))) === 1) await this.#tasks.remove(id).catch(() => undefined);
  }

  /** Takes the oldest result out of the queue: from then on the server is responsible for it. */
  async #poll(): Promise<Arrival | null> {
    // It was refused: no bound counts it any more, and it would stay for a day.
    if (this.#unread !== null) await this.#drop(this.#unread);
    const taken = await this.#results.take(this.#fence, randomUUID(), this.#maxHeaderBytes);
    if (taken === null) return null;
    const { entry, header } = taken;
    this.#unread = entry;
    if (entry === null || Buffer.byteLength(header) > this.#maxHeaderBytes)
      return malformed('the entry is not a result');
    return { header, bytes: entry.bytes, read: () => this.#pending.run(() => this.#read(entry)) };
  }

  async #read(entry: ResultEntry): Promise<Uint8Array> {
    const payload = await this.#payloads.read(entry.name, entry.bytes, 'the payload of a result');
    await this.#drop(entry);
    return payload;
  }

  /** Removes a result's keys; no more of them than the largest can have, as anybody may have written its size. */
  async #drop(entry: ResultEntry): Promise<void> {
    const chunks = this.#payloads.keys(entry.name, Math.min(entry.bytes, MAX_CHUNKS * CHUNK_BYTES));
    await this.#bytes.unlink(this.#results.header(entry), ...chunks);
    if (this.#unread === entry) this.#unread = null;
  }

  /** Renews the TTL of what the job needs until its end, as its rounds may be long. */
  #renew(): void {
    const { progress, report, bundle } = this.#keys;
    const rounds = [...this.#rounds].flatMap(([name, { bytes }]) => this.#packages.keys(name, bytes));
    const tasks = taskKeys(
      this.#keys,
      [...this.#rounds.values()].flatMap(({ ids }) => [...ids]),
    );
    const keys = [progress, report, bundle, ...this.#results.keys, ...tasks, ...rounds];
    this.#pending
      .run(() => this.#fence.script(RENEW, keys, [KEYS_TTL_SECONDS]))
      .catch((error: unknown) => this.#listener.failed(error instanceof Error ? error : new Error(String(error))));
  }
}

/** An arrival that is not a result: reading it throws the refusal. */
function malformed(why: string): Arrival {
  return { header: '', bytes: 0, read: () => Promise.reject(new Refused('malformed', why)) };
}
