import { isDeepStrictEqual } from 'node:util';
import type { Logger } from 'pino';
import { errorMessage } from '../../crds/facts/user-error.ts';
import type { Clock } from '../process/clock.ts';
import type { Candidate } from './candidate.ts';
import type { LeaseRecord, LeaseStore, StoredLease } from './lease.ts';

export interface LeaseTimes {
  /** Time after a leader's last renewal before another may take the lease. */
  readonly leaseMs: number;
  /** Time after its last renewal for which a leader leads; shorter, so that two never lead. */
  readonly renewDeadlineMs: number;
  /** Time between two attempts. */
  readonly retryMs: number;
}

/** As in client-go. */
export const LEASE_TIMES: LeaseTimes = { leaseMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2_000 };

/** Candidates add up to this multiple of the retry time, so that they do not all try at once. */
const JITTER = 1.2;

export interface ElectorSettings {
  readonly store: LeaseStore;
  /** A unique name of this process, never used again. */
  readonly identity: string;
  readonly times: LeaseTimes;
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  now(): number;
  /** From 0 to 1. */
  random(): number;
  readonly log: Logger;
  /** This process leads from now on. */
  elected(): void;
  /** This process has lost the lead and must not write. It is no longer a candidate. */
  lost(): void;
}

/**
 * Leader election by a lease, as in client-go. A candidate measures by its own clock how long it has seen no renewal,
 * so clocks may differ; a leader measures from the moment it requested its last successful renewal.
 */
export class LeaderElector implements Candidate {
  readonly #settings: ElectorSettings;
  /** The last known lease, and when it was first seen in this state. */
  #seen: { readonly lease: StoredLease; readonly at: number } | null = null;
  /** When the last successful renewal was requested; null: this process does not lead. */
  #renewed: number | null = null;
  #stopped = false;
  #cancelPause: () => void = () => {};
  #cancelDeadline: () => void = () => {};
  #running: Promise<void> = Promise.resolve();

  constructor(settings: ElectorSettings) {
    this.#settings = settings;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Checks the time, as the process may have been suspended. */
  leads(): boolean {
    const { clock, times } = this.#settings;
    return this.#renewed !== null && clock.now() - this.#renewed < times.renewDeadlineMs;
  }

  /** Releases the lease, so that another replica can lead at once. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelPause();
    await this.#running;
    this.#cancelDeadline();
    const led = this.leads();
    // Set before the lease is released: from then on another may lead.
    this.#renewed = null;
    if (led) await this.#release();
  }

  async #run(): Promise<void> {
    const { times, random, elected, log } = this.#settings;
    while (!this.#stopped && !(await this.#try())) await this.#pause(times.retryMs * (1 + JITTER * random()));
    if (this.#stopped) return;
    try {
      elected();
    } catch (error) {
      // This replica holds the lease but cannot act as leader; another must take over.
      log.error({ err: error }, 'this replica cannot lead');
      this.#lose();
      return;
    }
    while (this.leads() && !this.#stopped) {
      await this.#pause(times.retryMs);
      if (this.leads() && !this.#stopped) await this.#try();
    }
  }

  /** Acquires or renews the lease; true: this process holds it. */
  async #try(): Promise<boolean> {
    const { clock, log, store } = this.#settings;
    try {
      // A leader knows the lease, and reads it only after a conflict.
      const known = this.#renewed === null ? await this.#read() : (this.#seen?.lease ?? null);
      if (known !== null && !this.#isFree(known.record)) return false;
      const record = this.#claim(known?.record ?? null);
      const asked = clock.now();
      const stored = known === null ? await store.create(record) : await store.replace(known.version, record);
      if (stored === null) {
        await this.#read();
        return false;
      }
      this.#see(stored);
      this.#extend(asked);
      return this.leads();
    } catch (error) {
      log.warn({ reason: errorMessage(error) }, 'cannot reach the lease');
      return false;
    }
  }

  async #read(): Promise<StoredLease | null> {
    const lease = await this.#settings.store.read();
    if (lease === null) this.#seen = null;
    else this.#see(lease);
    // Another replica took the lease and leads already.
    if (this.leads() && lease !== null && !this.#isFree(lease.record)) this.#lose();
    return lease;
  }

  #see(lease: StoredLease): void {
    const isNews = this.#seen === null || !isDeepStrictEqual(this.#seen.lease.record, lease.record);
    this.#seen = { lease, at: isNews ? this.#settings.clock.now() : (this.#seen?.at ?? 0) };
  }

  /** Whether this process may take the lease. */
  #isFree({ holder, durationSeconds }: LeaseRecord): boolean {
    const { clock, identity, times } = this.#settings;
    if (holder === '' || holder === identity) return true;
    const unseenMs = clock.now() - (this.#seen?.at ?? clock.now());
    return unseenMs >= Math.max(durationSeconds * 1000, times.leaseMs);
  }

  #claim(before: LeaseRecord | null): LeaseRecord {
    const { identity, now, times } = this.#settings;
    const isOurs = before?.holder === identity;
    return {
      holder: identity,
      durationSeconds: times.leaseMs / 1000,
      acquiredAt: isOurs ? before.acquiredAt : now(),
      renewedAt: now(),
      transitions: before === null ? 0 : before.transitions + Number(!isOurs),
    };
  }

  #extend(asked: number): void {
    const { clock, times } = this.#settings;
    this.#renewed = asked;
    this.#cancelDeadline();
    this.#cancelDeadline = clock.after(asked + times.renewDeadlineMs - clock.now(), () => this.#lose());
  }

  #lose(): void {
    this.#stopped = true;
    this.#renewed = null;
    this.#cancelPause();
    this.#cancelDeadline();
    this.#settings.lost();
  }

  async #release(): Promise<void> {
    const { log, now, store } = this.#settings;
    const held = this.#seen?.lease;
    if (held === undefined) return;
    try {
      await store.replace(held.version, { ...held.record, holder: '', durationSeconds: 1, renewedAt: now() });
    } catch (error) {
      log.warn({ reason: errorMessage(error) }, 'cannot release the lease; it expires by itself');
    }
  }

  #pause(ms: number): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.#settings.clock.after(ms, resolve);
      this.#cancelPause = () => {
        cancel();
        resolve();
      };
    });
  }
}
