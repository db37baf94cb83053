import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { checkRedis, type RedisAddress } from '../../transport/redis/connect.ts';
import { RedisUnreachable } from '../../transport/redis/unusable.ts';

const RETRY_MS = 2_000;

export interface Waiting {
  readonly patienceMs: number;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/**
 * Checks Redis, and waits for one that does not answer: it may start after this pod.
 * @returns the address, and whether it is that of a Redis Cluster
 * @throws RedisUnusable when it cannot be used, or does not answer for `patienceMs`
 */
export async function redisWhenUp(address: RedisAddress, { patienceMs, log, signal }: Waiting): Promise<RedisAddress> {
  const began = performance.now();
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted();
    try {
      const { isCluster, warnings } = await checkRedis(address);
      for (const warning of warnings) log.warn(warning);
      return { ...address, isCluster };
    } catch (error) {
      if (!(error instanceof RedisUnreachable) || performance.now() - began >= patienceMs) throw error;
      if (attempt === 1) log.warn(`${error.message}; trying again for ${Math.round(patienceMs / 1000)} s`);
    }
    await delay(Math.min(RETRY_MS, patienceMs), undefined, { signal });
  }
}
