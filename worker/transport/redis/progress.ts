import Type from 'typebox';
import type { Static } from 'typebox';
import Value from 'typebox/value';
import type { JobProgress } from '../../../crds/facts/progress.ts';
import { KEYS_TTL_SECONDS, PROGRESS_CHANNEL } from '../../cluster/redis-keys.ts';
import type { JobKeys } from '../../cluster/redis-keys.ts';
import type { Fence } from './fence.ts';
import { foreignValue } from './unusable.ts';
import { readJson } from './read-json.ts';
import type { RedisConnection } from './redis-cluster.ts';

/** The emulator bundle's manifest, as the server pod announces it. */
const BundleAnnouncement = Type.Object({
  sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  bytes: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
});
const MAX_ANNOUNCEMENT_BYTES = 512;
export type BundleAnnouncement = Static<typeof BundleAnnouncement>;

/** Reports a server pod's progress. Every write throws `Fenced` once a later server pod has taken over. */
export class RedisProgress {
  readonly #redis: RedisConnection;
  readonly #keys: JobKeys;
  readonly #fence: Fence;
  readonly #job: string;

  /** @param job its `namespace/name` */
  constructor(redis: RedisConnection, keys: JobKeys, fence: Fence, job: string) {
    this.#redis = redis;
    this.#keys = keys;
    this.#fence = fence;
    this.#job = job;
  }

  async write(progress: JobProgress): Promise<void> {
    await this.#set(this.#keys.progress, JSON.stringify(progress));
    await this.#redis.publish(PROGRESS_CHANNEL, this.#job);
  }

  /** @param report the JSON of report.json */
  writeReport(report: string): Promise<void> {
    return this.#set(this.#keys.report, report);
  }

  announceBundle({ sha256, bytes }: BundleAnnouncement): Promise<void> {
    return this.#set(this.#keys.bundle, JSON.stringify({ sha256, bytes }));
  }

  /** Tells clients that the job has ended. */
  markFinished(): Promise<void> {
    return this.#set(this.#keys.finished, '1');
  }

  #set(key: string, value: string): Promise<void> {
    return this.#fence.run('SET', [key], [value, 'EX', KEYS_TTL_SECONDS]);
  }
}

/** Whether the job has ended. */
export async function isFinished(redis: RedisConnection, { finished }: Pick<JobKeys, 'finished'>): Promise<boolean> {
  return (await redis.exists(finished)) === 1;
}

/**
 * The bundle that the server pod has announced; null before that. @throws RedisUnusable if the value is invalid
 */
export async function readBundle(
  redis: RedisConnection,
  { bundle }: Pick<JobKeys, 'bundle'>,
): Promise<BundleAnnouncement | null> {
  const value = await readJson(redis, bundle, MAX_ANNOUNCEMENT_BYTES);
  if (value === undefined) return null;
  if (!Value.Check(BundleAnnouncement, value)) throw foreignValue(bundle);
  return value;
}
