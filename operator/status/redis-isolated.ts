import type { RedisAccess } from '../plan/redis-access.ts';
import { CREDENTIAL } from '../plan/names.ts';
import type { Observed, RedisUsersStanding } from '../reconcile/ports.ts';
import type { Aspect } from './conditions.ts';
import type { Standing } from './standing.ts';

/** Whether a job's pods reach the keys of their own job alone in the operator's Redis; null: nothing is known that was not before. */
export function redisIsolated(access: RedisAccess, standing: RedisUsersStanding, { credentials }: Observed): Aspect | null {
  const aspect = (holds: boolean, reason: string, message: string): Aspect => ({ type: 'RedisIsolated', holds, reason, message });
  if (access.kind === 'shared') {
    const why = standing.kind === 'ready' ? '' : ` (${standing.reason})`;
    return aspect(false, 'SharedCredentials', `Redis lets the operator make no users${why}: pods have the operator's own credentials, and reach the keys of every job there.`);
  }
  if (access.kind !== 'users' || standing.kind !== 'ready') return null;
  if (credentials?.data?.[CREDENTIAL.oneRedisUrl] !== undefined) {
    return aspect(false, 'BeganWithout', 'The job began under an operator that made no users in Redis: pods that have run since then hold the credentials of the operator.');
  }
  if (standing.isOpen) return aspect(false, 'DefaultUserOpen', "Redis's default user has no password: whoever reaches it needs no user of the job.");
  return standing.readOnlyKeys
    ? aspect(true, 'UserPerRole', 'Server and client pods have users of their own in Redis; clients write tasks and results alone.')
    : aspect(true, 'UserPerJob', 'The job has users of its own in Redis, which is older than 7.0 and knows no read-only keys: client pods can change round packages and end rounds.');
}

/** Why the job waits for Redis; null: it does not. */
export function waitsForRedis(access: RedisAccess): Standing | null {
  if (access.kind !== 'none') return null;
  return access.why.kind === 'away'
    ? { reason: 'RedisUnreachable', message: `The operator's Redis does not answer, and the job's users are not made there: ${access.why.reason}.` }
    : {
        reason: 'RedisUsersRefused',
        message: `The operator's Redis lets it make no users for the job (${access.why.reason}). Let the operator's user call ACL there, give the job a Redis of its own in spec.redis, or start the operator with --allow-shared-redis-credentials.`,
      };
}
