import { reconnectDelay } from '../../worker/transport/redis/redis-cluster.ts';

const TIMEOUT_MS = 5_000;

/**
 * Options of a connection whose commands fail at once while Redis is away: they are repeated soon anyway, and nothing
 * waits for them.
 */
export const FAIL_FAST = {
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  commandTimeout: TIMEOUT_MS,
  connectTimeout: TIMEOUT_MS,
} as const;

/** Milliseconds before each attempt to connect again. */
export const retryDelay = reconnectDelay(100, 5_000);
