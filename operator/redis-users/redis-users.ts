import { ROLES } from '../../crds/facts/role.ts';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { errorMessage } from '../../crds/facts/user-error.ts';
import { jobKeys, KEYS_TTL_SECONDS } from '../../worker/cluster/redis-keys.ts';
import { sha256 } from '../../worker/files/sha256.ts';
import { aside } from '../process/aside.ts';
import { jobLog } from '../process/log.ts';
import { redisUser } from '../plan/redis-access.ts';
import type { JobObject } from '../objects/job-object.ts';
import type { RolePasswords, RedisUsersStanding } from '../objects/redis-standing.ts';
import { AllNodes } from './all-nodes.ts';
import { probe, standingAfter } from './probe.ts';
import { aclRules, uidOfUser } from './rules.ts';

export interface RedisUsersSettings {
  /** URL of the operator's Redis: redis:// or rediss://, with the credentials of a user that may create others. */
  readonly url: string;
  /** PEM of the CA certificate; null: the CAs that the system trusts. */
  readonly ca: string | null;
  readonly log: Logger;
  /** All jobs must be reconciled: Redis may have lost their users, or whether users can be created has changed. */
  changed(): void;
  /** How often to probe a Redis without users again, and to look for abandoned users. */
  readonly lookMs?: number;
}

const LOOK_MS = 30_000;

/** How long `start` waits for the first answer of Redis. */
const FIRST_ANSWER_MS = 5_000;

/** How often users are set again, as somebody may have removed them unnoticed. */
const RENEW_MS = 60_000;

/** The users of jobs in the operator's Redis: one for each role, on every node of a Redis Cluster. */
export class RedisUsers {
  readonly #settings: RedisUsersSettings;
  readonly #nodes: AllNodes;
  #timer: NodeJS.Timeout | undefined;
  #looking = false;
  #standing: RedisUsersStanding = { kind: 'away', reason: 'it was not contacted yet' };
  /** By uid: digest of the passwords set on all nodes, and when. Replaced when users must be set again. */
  #granted = new Map<string, { readonly what: string; readonly at: number }>();
  /** Uids of users that are being created. */
  readonly #granting = new Set<string>();
  #isSaved = true;
  #asked: () => void = () => undefined;

  constructor(settings: RedisUsersSettings) {
    this.#settings = settings;
    this.#nodes = new AllNodes(settings.url, settings.ca, {
      ready: () => this.#lookAside(),
      failed: (reason) => this.#tell({ kind: 'away', reason }),
      closed: () => this.#forget(),
      joined: () => this.#renewAll(),
    });
  }

  /**
   * Connects; only the leader calls this, as it creates the users. Resolves once it is known whether Redis allows that,
   * or after some time without an answer.
   */
  start(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#asked = resolve;
    setTimeout(resolve, FIRST_ANSWER_MS).unref();
    this.#nodes.connect();
    this.#timer = setInterval(() => this.#lookAside(), this.#settings.lookMs ?? LOOK_MS);
    return promise;
  }

  /** Whether users can be created, as last observed. */
  standing(): RedisUsersStanding {
    return this.#standing;
  }

  /** Creates the users of a job's roles, or sets them again. Rejects if a master does not answer or refuses. */
  async grant(uid: string, passwords: RolePasswords): Promise<void> {
    const standing = this.#standing;
    if (standing.kind !== 'ready') throw new Error(standing.reason);
    const what = sha256(JSON.stringify(passwords));
    const known = this.#granted.get(uid);
    if (known?.what === what && performance.now() - known.at < RENEW_MS) return;
    this.#granting.add(uid);
    try {
      await this.#create(uid, passwords, what, standing.readOnlyKeys);
    } finally {
      this.#granting.delete(uid);
    }
    if (known?.what !== what) await this.#save();
  }

  async #create(uid: string, passwords: RolePasswords, what: string, readOnlyKeys: boolean): Promise<void> {
    // A node that joins meanwhile is not asked: the entry then goes into the map that #renewAll has replaced.
    const granted = this.#granted;
    const make = (node: Redis) =>
      Promise.all(
        ROLES.map((role) =>
          node.call(
            'ACL',
            'SETUSER',
            redisUser(uid, role),
            ...aclRules(uid, role, sha256(passwords[role]), readOnlyKeys),
          ),
        ),
      );
    let isComplete = true;
    try {
      await this.#nodes.ask(make, () => (isComplete = false));
    } catch (error) {
      this.#tell(standingAfter(error));
      throw error;
    }
    await this.#nodes.redis?.set(jobKeys(uid).users, '1', 'EX', KEYS_TTL_SECONDS).catch(() => undefined);
    if (isComplete) granted.set(uid, { what, at: performance.now() });
  }

  /**
   * Removes the users of a deleted job, and ends their connections. If Redis does not answer, `#removeForgotten`
   * removes them later.
   */
  async revoke({ metadata: { namespace, name, uid } }: Pick<JobObject, 'metadata'>): Promise<void> {
    try {
      if (this.#standing.kind !== 'ready') return;
      // A replica that does not answer keeps the users until `#removeForgotten` finds them without this key.
      await this.#nodes.redis?.unlink(jobKeys(uid).users).catch(() => undefined);
      await this.#remove(uid);
    } catch (error) {
      jobLog(this.#settings.log, namespace, name).warn(
        { reason: errorMessage(error) },
        "cannot remove the job's users from Redis yet",
      );
    }
  }

  async #remove(uid: string): Promise<void> {
    this.#granted.delete(uid);
    await this.#nodes.ask((node) => node.call('ACL', 'DELUSER', ...ROLES.map((role) => redisUser(uid, role))));
    await this.#save();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#nodes.close();
  }

  #lookAside(): void {
    aside(this.#settings.log, () => this.#look());
  }

  /** Finds out whether users can be created, and removes abandoned ones. */
  async #look(): Promise<void> {
    if (this.#looking || !this.#nodes.isReady) return;
    this.#looking = true;
    try {
      await this.#nodes.discover();
      if (this.#standing.kind !== 'ready') this.#tell(await probe((ask) => this.#nodes.ask(ask)));
      await this.#removeForgotten();
    } catch (error) {
      this.#tell(standingAfter(error));
    } finally {
      this.#looking = false;
    }
  }

  /** A node that joined, or came back, has no users. */
  #renewAll(): void {
    this.#granted = new Map();
    if (this.#standing.kind === 'ready') this.#settings.changed();
  }

  /**
   * Removes users of jobs that were deleted unnoticed: no operator has renewed them for the lifetime of a job's keys.
   */
  async #removeForgotten(): Promise<void> {
    const names = (await this.#nodes.ask((node) => node.call('ACL', 'USERS'))).flat();
    const uids = new Set(names.flatMap((name) => uidOfUser(String(name)) ?? []));
    const isInUse = (uid: string) => this.#granted.has(uid) || this.#granting.has(uid);
    for (const uid of uids) {
      if (isInUse(uid) || (await this.#nodes.redis?.exists(jobKeys(uid).users)) !== 0) continue;
      // A grant may have begun since.
      if (isInUse(uid)) continue;
      await this.#remove(uid);
      this.#settings.log.info({ uid }, 'removed the Redis users of a job that no longer exists');
    }
  }

  /**
   * Lets Redis save the users for its next start. If it has no file for them, the operator creates them again after a
   * restart.
   */
  async #save(): Promise<void> {
    try {
      await this.#nodes.ask((node) => node.call('ACL', 'SAVE'));
      this.#isSaved = true;
    } catch (error) {
      if (this.#isSaved)
        this.#settings.log.info(
          { reason: errorMessage(error) },
          'Redis does not save the users of jobs; the operator creates them again after Redis restarts',
        );
      this.#isSaved = false;
    }
  }

  #forget(): void {
    this.#granted = new Map();
    if (this.#standing.kind !== 'away') this.#tell({ kind: 'away', reason: 'the connection was lost' });
  }

  #tell(standing: RedisUsersStanding): void {
    const before = this.#standing;
    this.#standing = standing;
    this.#asked();
    if (before.kind === standing.kind) return;
    if (standing.kind === 'refused')
      this.#settings.log.warn(
        { reason: standing.reason },
        'Redis does not let the operator create users: jobs cannot be isolated there',
      );
    if (standing.kind === 'ready') {
      this.#settings.log.info({ readOnlyKeys: standing.readOnlyKeys }, 'each job gets its own users in Redis');
      if (standing.isOpen)
        this.#settings.log.warn(
          'the default user of Redis has no password: anyone who reaches Redis can use the keys of all jobs',
        );
    }
    if (standing.kind !== 'away') this.#settings.changed();
  }
}
