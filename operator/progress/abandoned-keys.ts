import type { Logger } from 'pino';
import { errorMessage } from '../../crds/facts/user-error.ts';
import type { JobObject } from '../objects/job-object.ts';
import type { KeySweep } from '../redis/key-sweep.ts';

export interface AbandonedKeysSettings {
  readonly sweep: KeySweep;
  /** The key under which Redis remembers the jobs of this installation. */
  readonly registry: string;
  /** Whether this replica writes. */
  leads(): boolean;
  /** All watched jobs. */
  jobs(): readonly JobObject[];
  readonly log: Logger;
}

/** How often to look for them. */
const SWEEP_MS = 3600_000;

/** Keys in the operator's Redis of jobs that were deleted while no operator ran. */
export class AbandonedKeys {
  readonly #settings: AbandonedKeysSettings;
  /** Uids of jobs that Redis remembers. */
  #remembered = new Set<string>();
  #sweptAt = -Infinity;

  constructor(settings: AbandonedKeysSettings) {
    this.#settings = settings;
  }

  /** Called now and then. Lets Redis remember new jobs and, at first and once an hour, removes keys of those gone. */
  async look(): Promise<void> {
    const { sweep, registry, leads, jobs, log } = this.#settings;
    if (!sweep.isReady || !leads()) return;
    const isDue = performance.now() - this.#sweptAt >= SWEEP_MS;
    const uids = new Set(jobs().map(({ metadata }) => metadata.uid));
    // Once an hour all: Redis may have lost what it remembered.
    const fresh = [...uids].filter((uid) => isDue || !this.#remembered.has(uid));
    try {
      await sweep.remember(registry, fresh);
      this.#remembered = uids;
      if (!isDue) return;
      this.#sweptAt = performance.now();
      const removed = await sweep.removeAbandoned(registry, (uid) => uids.has(uid));
      if (removed > 0) log.info({ jobs: removed }, 'removed keys of jobs that no longer exist from Redis');
    } catch (error) {
      log.warn({ reason: errorMessage(error) }, 'cannot look for keys of deleted jobs in Redis');
    }
  }
}
