import type { Redis } from 'ioredis';
import type { Test } from 'tap';
import { createLog } from '../../operator/process/log.ts';
import { redisUser } from '../../operator/plan/redis-access.ts';
import { RedisUsers } from '../../operator/redis-users/redis-users.ts';
import { connection } from './redis.ts';
import { until } from './until.ts';

export const ADMIN = 'password-of-the-operator';

export const PASSWORDS = { server: 'password of the server pods', client: 'password of the client pods' };

export const [OURS, THEIRS] = ['8a7d6f0e-0000-4000-8000-000000000001', '8a7d6f0e-0000-4000-8000-000000000002'];

/** A connection whose commands fail at once if Redis refuses or ends it. */
export const failFastClient = (t: Test, url: string): Redis =>
  connection(t, url, { retryStrategy: () => null, maxRetriesPerRequest: 0 });

export function urlOf(url: string, uid: string, role: 'server' | 'client', password = PASSWORDS[role]): string {
  const own = new URL(url);
  own.username = redisUser(uid, role);
  own.password = encodeURIComponent(password);
  return own.href;
}

export function usersOf(t: Test, url: string, lookMs = 100) {
  const seen = { changed: 0, log: '' };
  const users = new RedisUsers({
    url,
    ca: null,
    log: createLog('info', { write: (line) => void (seen.log += line) }),
    changed: () => void seen.changed++,
    lookMs,
  });
  users.start().catch((error: unknown) => t.error(error));
  t.teardown(() => users.close());
  const ready = () => until('users can be made', 20, () => (users.standing().kind === 'ready' ? true : null));
  return { users, seen, ready };
}

export const answerOf = (asked: Promise<unknown>): Promise<string> =>
  asked.then(String, (error: unknown) => (error instanceof Error ? error.message : String(error)));
