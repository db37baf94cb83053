import type { RedisAccess } from '../plan/redis-access.ts';
import { CREDENTIAL } from '../objects/secret-data.ts';
import type { Observed } from '../objects/observed.ts';
import type { RedisUsersStanding } from '../objects/redis-standing.ts';
import type { Aspect } from './conditions.ts';
import type { Standing } from '../objects/outcome.ts';

/** Whether a job's pods can use only their own job's keys in the operator's Redis; null: nothing new is known. */
export function redisIsolated(
  access: RedisAccess,
  standing: RedisUsersStanding,
  { credentials }: Observed,
): Aspect | null {
  const aspect = (holds: boolean, reason: string, message: string): Aspect => ({
    type: 'RedisIsolated',
    holds,
    reason,
    message,
  });
  if (access.kind === 'shared') {
    const why = standing.kind === 'ready' ? '' : ` (${standing.reason})`;
    return aspect(
      false,
      'SharedCredentials',
      `Redis does not let the operator create users${why}: pods use the operator's own credentials and can reach the keys of every job there.`,
    );
  }
  if (access.kind !== 'users' || standing.kind !== 'ready') return null;
  if (credentials?.data?.[CREDENTIAL.oneRedisUrl] !== undefined) {
    return aspect(
      false,
      'BeganWithout',
      'The job began under an operator that created no users in Redis: pods that have run since then hold the credentials of that operator.',
    );
  }
  if (standing.isOpen)
    return aspect(
      false,
      'DefaultUserOpen',
      "The default user of Redis has no password: anyone who reaches Redis can use the job's keys.",
    );
  return standing.readOnlyKeys
    ? aspect(
        true,
        'UserPerRole',
        'Server and client pods have separate users in Redis; client pods can write only tasks and results.',
      )
    : aspect(
        true,
        'UserPerJob',
        'The job has its own users in Redis, which is older than 7.0 and does not support read-only keys: client pods can change round packages and end rounds.',
      );
}

/** Why the job waits for Redis; null: it does not wait. */
export function waitsForRedis(access: RedisAccess): Standing | null {
  if (access.kind !== 'none') return null;
  return access.why.kind === 'away'
    ? {
        reason: 'RedisUnreachable',
        message: `The operator's Redis does not answer, so the job's users cannot be created: ${access.why.reason}.`,
      }
    : {
        reason: 'RedisUsersRefused',
        message: `The operator's Redis does not let it create users for the job (${access.why.reason}). Allow the operator's user to call ACL, give the job its own Redis in spec.redis, or start the operator with --allow-shared-redis-credentials.`,
      };
}
