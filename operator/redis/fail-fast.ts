import { reconnectDelay } from '../../worker/transport/redis/redis-cluster.ts';

const TIMEOUT_MS = 5_000;

/** Options of a connection whose commands fail at once while Redis is down, as they are repeated soon. */
export const FAIL_FAST = {
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  commandTimeout: TIMEOUT_MS,
  connectTimeout: TIMEOUT_MS,
} as const;

/** Milliseconds before each attempt to reconnect. */
export const retryDelay = reconnectDelay(100, 5_000);
