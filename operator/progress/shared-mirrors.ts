import type { Logger } from 'pino';
import { jobLog } from '../process/log.ts';
import type { JobObject } from '../objects/job-object.ts';
import type { MirrorSettings, ProgressMirror } from './mirror.ts';

/** The address of a Redis. The URL holds a password and is never logged. */
export interface RedisAddress {
  readonly url: string;
  /** PEM of its CA certificate; null: the CAs that the system trusts. */
  readonly ca: string | null;
}

/** Opens a mirror of the jobs for which `isMirrored` is true. */
type OpenMirror = (
  address: RedisAddress,
  listeners: Pick<MirrorSettings, 'log' | 'connected'>,
  isMirrored: (job: JobObject) => boolean,
) => ProgressMirror;

/** Limit of the Redis that are mirrored for a namespace: each costs connections, and users create jobs at will. */
const MAX_PER_NAMESPACE = 100;

interface Shared {
  readonly key: string;
  /** Namespace of the job for which the mirror was opened. */
  readonly namespace: string;
  readonly mirror: ProgressMirror;
  readonly uids: Set<string>;
  isConnected: boolean;
}

/** Mirrors of the Redis that jobs name: one per address, open while any job uses it. */
export class SharedMirrors {
  readonly #log: Logger;
  readonly #open: OpenMirror;
  readonly #byAddress = new Map<string, Shared>();
  /** By uid of the job. */
  readonly #byJob = new Map<string, Shared>();

  constructor(log: Logger, open: OpenMirror) {
    this.#log = log;
    this.#open = open;
  }

  /** The job's mirror; null: it has none yet. */
  of(uid: string): ProgressMirror | null {
    return this.#byJob.get(uid)?.mirror ?? null;
  }

  /** Whether the job's Redis answers. */
  isConnected(uid: string): boolean {
    return this.#byJob.get(uid)?.isConnected === true;
  }

  /** Gives the job the mirror of an address. @throws Error if its namespace has too many */
  assign(job: JobObject, address: RedisAddress): void {
    const { uid } = job.metadata;
    const key = JSON.stringify([address.url, address.ca]);
    if (this.#byJob.get(uid)?.key === key) return;
    this.release(uid);
    const shared = this.#byAddress.get(key) ?? this.#openFor(job, key, address);
    shared.uids.add(uid);
    this.#byJob.set(uid, shared);
  }

  /** The job no longer needs its mirror; the last job closes it. */
  release(uid: string): void {
    const shared = this.#byJob.get(uid);
    if (shared === undefined) return;
    this.#byJob.delete(uid);
    shared.uids.delete(uid);
    if (shared.uids.size > 0) return;
    this.#byAddress.delete(shared.key);
    shared.mirror.close();
  }

  close(): void {
    for (const { mirror } of this.#byAddress.values()) mirror.close();
  }

  #openFor({ metadata: { namespace, name } }: JobObject, key: string, address: RedisAddress): Shared {
    const others = [...this.#byAddress.values()].filter((shared) => shared.namespace === namespace).length;
    if (others >= MAX_PER_NAMESPACE)
      throw new Error(`the limit of ${MAX_PER_NAMESPACE} Redis for jobs of this namespace is reached`);
    const uids = new Set<string>();
    const connected = (isConnected: boolean) => {
      const shared = this.#byAddress.get(key);
      if (shared !== undefined) shared.isConnected = isConnected;
    };
    const listeners = { log: jobLog(this.#log, namespace, name), connected };
    const mirror = this.#open(address, listeners, ({ metadata }) => uids.has(metadata.uid));
    const shared: Shared = { key, namespace, mirror, uids, isConnected: false };
    this.#byAddress.set(key, shared);
    return shared;
  }
}
