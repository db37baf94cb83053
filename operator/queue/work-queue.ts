import type { Logger } from 'pino';
import { aside } from '../process/aside.ts';
import type { Clock } from '../process/clock.ts';
import type { OperatorMetrics } from '../metrics/operator-metrics.ts';
import { Backoff } from './backoff.ts';
import { namespaceOf } from './namespace-of.ts';

export interface WorkQueueSettings {
  /**
   * Keys worked on at the same time: of one namespace one less, from three on, so that what hangs in one leaves a
   * worker to the others.
   */
  readonly workers: number;
  readonly clock: Clock;
  readonly metrics: OperatorMetrics['queue'];
  readonly log: Logger;
  /**
   * Milliseconds until the key is to be worked on again, whatever happens; null: when it is added. What it rejects with
   * is retried.
   */
  work(key: string): Promise<number | null>;
  /** The key failed, and is tried again in so many milliseconds. */
  failed(key: string, error: unknown, retryMs: number): void;
}

interface Delay {
  readonly due: number;
  cancel(): void;
}

/**
 * client-go's work queue. A key waits at most once, however often it is added; it is never worked on twice at a time;
 * and one that is added while it is worked on is worked on again after. Between `start` and `stop` no key that was
 * added is lost; before and after, none is taken. Namespaces take turns: however many keys of one wait, those of
 * another do not wait for them.
 */
export class WorkQueue {
  readonly #settings: WorkQueueSettings;
  readonly #backoff = new Backoff();
  /**
   * By namespace, in the order of their turns: keys to work on, in the order in which they were added, and when that
   * was. One under way waits here for its next turn.
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

  /** Adds the key later. Of two times the sooner counts. */
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

  /** Takes no more keys, and resolves once what is under way is done. Keys that wait are given up. */
  async stop(): Promise<void> {
    this.#running = false;
    for (const { cancel } of this.#delays.values()) cancel();
    this.#delays.clear();
    this.#wanted.clear();
    await Promise.all(this.#underWay.values());
  }

  /** Gives work to workers that have none. */
  #fill(): void {
    const { workers } = this.#settings;
    while (this.#underWay.size < workers) {
      const next = this.#next(workers > 2 ? workers - 1 : workers);
      if (next === null) return;
      this.#begin(...next);
    }
  }

  /**
   * The key whose turn it is, taken out, and when it was added; null: none may begin. `most`: under way of one
   * namespace.
   */
  #next(most: number): readonly [key: string, addedAt: number] | null {
    const busy = new Map<string, number>();
    for (const key of this.#underWay.keys()) busy.set(namespaceOf(key), (busy.get(namespaceOf(key)) ?? 0) + 1);
    for (const [namespace, keys] of this.#wanted) {
      if ((busy.get(namespace) ?? 0) >= most) continue;
      for (const [key, addedAt] of keys) {
        if (this.#underWay.has(key)) continue;
        keys.delete(key);
        // The next turn is that of the others.
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
    // Begins after this: work that adds its own key must find it under way.
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
