import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { checkRedis } from '../../transport/redis/connect.ts';
import type { RedisAddress } from '../../transport/redis/connect.ts';
import type { RedisNeeds } from '../../transport/redis/needs.ts';
import { RedisUnknownUser, RedisUnreachable } from '../../transport/redis/unusable.ts';

const RETRY_MS = 2_000;

/** How long a user may be unknown: after a restart of Redis, the operator creates its users again. */
const UNKNOWN_MS = 10_000;

export interface Waiting {
  readonly patienceMs: number;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/**
 * Checks that Redis supports what the role needs. Waits while Redis does not answer or refuses temporarily: it may
 * start after this pod, or be failing over.
 * @returns the address, and whether it is that of a Redis Cluster
 * @throws RedisUnusable if it cannot be used; RedisUnreachable if it does not answer, or refuses writes, for
 * `patienceMs`
 */
export async function redisWhenUp(
  address: RedisAddress,
  needs: RedisNeeds,
  { patienceMs, log, signal }: Waiting,
): Promise<RedisAddress> {
  const began = performance.now();
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted();
    try {
      const { isCluster, warnings } = await checkRedis(address, needs);
      for (const warning of warnings) log.warn(warning);
      return { ...address, isCluster };
    } catch (error) {
      const patience =
        error instanceof RedisUnreachable
          ? patienceMs
          : error instanceof RedisUnknownUser
            ? Math.min(patienceMs, UNKNOWN_MS)
            : 0;
      if (!(error instanceof Error) || performance.now() - began >= patience) throw error;
      if (attempt === 1) log.warn(`${error.message}; trying again for ${Math.round(patience / 1000)} s`);
    }
    await delay(Math.min(RETRY_MS, patienceMs), undefined, { signal });
  }
}
