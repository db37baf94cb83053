import type { Logger } from 'pino';
import { aside } from '../process/aside.ts';
import type { Clock } from '../process/clock.ts';
import type { OperatorMetrics } from '../metrics/operator-metrics.ts';
import { Backoff, namespaceOf } from './backoff.ts';

export interface WorkQueueSettings {
  /**
   * Keys processed concurrently. From three on, one namespace gets one less, so that keys that hang in it leave a
   * worker to the others.
   */
  readonly workers: number;
  readonly clock: Clock;
  readonly metrics: OperatorMetrics['queue'];
  readonly log: Logger;
  /** Processes a key. Returns the milliseconds until it is added again; null: not by itself. A rejection is retried. */
  work(key: string): Promise<number | null>;
  /** The key failed, and is retried in so many milliseconds. */
  failed(key: string, error: unknown, retryMs: number): void;
}

interface Delay {
  readonly due: number;
  cancel(): void;
}

/**
 * A work queue as in client-go. A key waits at most once, however often it is added; it is never processed
 * concurrently; one that is added while it is processed is processed again afterwards. Between `start` and `stop` no
 * added key is lost; before and after, none is accepted. Namespaces take turns, so that many keys of one do not delay
 * another.
 */
export class WorkQueue {
  readonly #settings: WorkQueueSettings;
  readonly #backoff = new Backoff();
  /**
   * Waiting keys by namespace, in the order of turns, with the time at which each was added. A key that is processed
   * may wait here for its next turn.
   */
  readonly #wanted = new Map<string, Map<string, number>>();
  readonly #underWay = new Map<string, Promise<void>>();
  readonly #delays = new Map<string, Delay>();
  #running = false;

  constructor(settings: WorkQueueSettings) {
    this.#settings = settings;
  }

  start(): void {
    this.#running = true;
  }

  add(key: string): void {
    const namespace = namespaceOf(key);
    const keys = this.#wanted.get(namespace) ?? new Map<string, number>();
    if (!this.#running || keys.has(key)) return;
    this.#wanted.set(namespace, keys.set(key, this.#settings.clock.now()));
    this.#settings.metrics.added(this.#depth());
    this.#fill();
  }

  /** Adds the key later. Of two times the earlier counts. */
  addAfter(key: string, ms: number): void {
    if (!this.#running) return;
    if (ms <= 0) {
      this.add(key);
      return;
    }
    const { clock } = this.#settings;
    const due = clock.now() + ms;
    const delay = this.#delays.get(key);
    if (delay !== undefined && delay.due <= due) return;
    delay?.cancel();
    const cancel = clock.after(ms, () => {
      this.#delays.delete(key);
      this.add(key);
    });
    this.#delays.set(key, { due, cancel });
  }

  /** Drops waiting keys, accepts no more, and resolves once the current ones are processed. */
  async stop(): Promise<void> {
    this.#running = false;
    for (const { cancel } of this.#delays.values()) cancel();
    this.#delays.clear();
    this.#wanted.clear();
    await Promise.all(this.#underWay.values());
  }

  /** Gives keys to idle workers. */
  #fill(): void {
    const { workers } = this.#settings;
    while (this.#underWay.size < workers) {
      const next = this.#next(workers > 2 ? workers - 1 : workers);
      if (next === null) return;
      this.#begin(...next);
    }
  }

  /** Removes the key whose turn it is, and when it was added; null: none. `most`: limit of each namespace. */
  #next(most: number): readonly [key: string, addedAt: number] | null {
    const busy = new Map<string, number>();
    for (const key of this.#underWay.keys()) busy.set(namespaceOf(key), (busy.get(namespaceOf(key)) ?? 0) + 1);
    for (const [namespace, keys] of this.#wanted) {
      if ((busy.get(namespace) ?? 0) >= most) continue;
      for (const [key, addedAt] of keys) {
        if (this.#underWay.has(key)) continue;
        keys.delete(key);
        // The other namespaces have the next turns.
        this.#wanted.delete(namespace);
        if (keys.size > 0) this.#wanted.set(namespace, keys);
        return [key, addedAt];
      }
    }
    return null;
  }

  #begin(key: string, addedAt: number): void {
    const { clock, metrics } = this.#settings;
    const now = clock.now();
    // Starts asynchronously: work that adds its own key must find it in #underWay.
    const ended = Promise.resolve()
      .then(() => this.#work(key))
      .finally(() => {
        this.#underWay.delete(key);
        metrics.done((clock.now() - now) / 1000);
        this.#fill();
      });
    this.#underWay.set(key, ended);
    metrics.taken(this.#depth(), (now - addedAt) / 1000);
  }

  async #work(key: string): Promise<void> {
    const { clock, metrics, log, work, failed } = this.#settings;
    try {
      const againMs = await work(key);
      this.#backoff.forget(key);
      if (againMs !== null) this.addAfter(key, againMs);
    } catch (error) {
      const retryMs = this.#backoff.next(key, clock.now());
      metrics.retried();
      this.addAfter(key, retryMs);
      aside(log, () => failed(key, error, retryMs));
    }
  }

  /** Keys that wait for a worker. */
  #depth(): number {
    let depth = 0;
    for (const keys of this.#wanted.values()) depth += keys.size;
    for (const key of this.#underWay.keys()) if (this.#wanted.get(namespaceOf(key))?.has(key) === true) depth--;
    return depth;
  }
}
