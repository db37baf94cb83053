import { setTimeout as delay } from 'node:timers/promises';
import { jobKeys, KEYS_TTL_SECONDS } from '../../worker/cluster/redis-keys.ts';
import type { RedisNodes } from './nodes.ts';
import { removeJobKeys } from './remove-job-keys.ts';

/** How long deleted jobs are gathered: jobs are deleted many at once, and a pass looks at the keys of all. */
const GATHER_MS = 500;

const SCAN_COUNT = 500;

/** Limit of remembered jobs: more than a cluster has. */
const MAX_JOBS = 100_000;

/** Removes the keys of jobs that exist no more from a Redis. */
export class KeySweep {
  readonly #nodes: RedisNodes;
  readonly #gone = new Set<string>();
  /** The pass that will remove the keys of `#gone`. */
  #next: Promise<void> | null = null;
  #last: Promise<void> = Promise.resolve();

  constructor(nodes: RedisNodes) {
    this.#nodes = nodes;
  }

  /** Whether Redis answers. */
  get isReady(): boolean {
    return this.#nodes.seed.status === 'ready';
  }

  /** Removes a job's keys, with those of other jobs deleted at the same time. Rejects if Redis does not answer. */
  remove(uid: string): Promise<void> {
    if (!/^[\w-]+$/.test(uid)) throw new Error(`not a uid: ${JSON.stringify(uid)}`);
    this.#gone.add(uid);
    this.#next ??= this.#last.then(async () => {
      await delay(GATHER_MS);
      const uids = [...this.#gone];
      this.#gone.clear();
      const pass = this.#pass(uids);
      this.#next = null;
      this.#last = pass.catch(() => undefined);
      await pass;
    });
    return this.#next;
  }

  /**
   * Remembers jobs in Redis, for an operator that was away while they were deleted.
   * @param registry the key: one for each installation, as several may share a Redis
   */
  async remember(registry: string, uids: readonly string[]): Promise<void> {
    if (uids.length === 0) return;
    await this.#nodes.at(registry, async (node) => {
      await node.sadd(registry, ...uids);
      await node.expire(registry, KEYS_TTL_SECONDS);
    });
  }

  /**
   * Removes the keys of remembered jobs that exist no more, and forgets those jobs.
   * @returns their number
   */
  async removeAbandoned(registry: string, exists: (uid: string) => boolean): Promise<number> {
    const abandoned = (await this.#remembered(registry)).filter((uid) => !exists(uid));
    await Promise.all(abandoned.map((uid) => this.remove(uid)));
    if (abandoned.length > 0) await this.#nodes.at(registry, (node) => node.srem(registry, ...abandoned));
    return abandoned.length;
  }

  #remembered(registry: string): Promise<string[]> {
    return this.#nodes.at(registry, async (node) => {
      const uids = new Set<string>();
      let cursor = '0';
      do {
        const [next, some] = await node.sscan(registry, cursor, 'COUNT', SCAN_COUNT);
        for (const uid of some) if (/^[\w-]+$/.test(uid)) uids.add(uid);
        cursor = next;
      } while (cursor !== '0' && uids.size < MAX_JOBS);
      return [...uids];
    });
  }

  async #pass(uids: readonly string[]): Promise<void> {
    // SCAN names no key, so a node of a cluster would not redirect it.
    const homeOf = async (uid: string) => {
      const home = await this.#nodes.at(uid, async (node) => {
        await node.exists(jobKeys(uid).progress);
        return node;
      });
      return { uid, home };
    };
    const homes = Map.groupBy(await Promise.all(uids.map(homeOf)), ({ home }) => home);
    for (const [node, jobs] of homes)
      await removeJobKeys(
        node,
        jobs.map(({ uid }) => uid),
      );
    for (const uid of uids) this.#nodes.forget(uid);
  }
}
