import { readRedisUrl, writeRedisUrl } from '../../worker/transport/redis/redis-url.ts';
import type { JobObject } from '../objects/job-object.ts';
import type { Observed, ObservedData } from '../objects/observed.ts';
import type { RedisUsersStanding, RolePasswords } from '../objects/redis-standing.ts';
import { derivedSecret, isSecret } from './derived-secret.ts';
import type { Role } from '../../crds/facts/role.ts';
import { CREDENTIAL, decodeSecret, encodeSecret } from '../objects/secret-data.ts';
import type { OperatorRedis, PlanSettings } from './settings.ts';

/**
 * How a job's pods reach Redis. `brought`: the job names a Redis, or has to. `users`: the operator's Redis, with a user
 * for each role. `shared`: with the operator's own credentials. `kept`: with the credentials in the job's Secret, as no
 * users can be created now.
 */
export type RedisAccess =
  | { readonly kind: 'brought' | 'kept' }
  /** `grant`: users to create; null: they exist, and Redis does not accept new ones now. */
  | { readonly kind: 'users'; readonly grant: RolePasswords | null; readonly urls: Readonly<Record<Role, string>> }
  | { readonly kind: 'shared'; readonly url: string }
  /** The job must wait. */
  | { readonly kind: 'none'; readonly why: Exclude<RedisUsersStanding, { kind: 'ready' }> };

/** The user of a job's role in the operator's Redis. */
export const redisUser = (uid: string, role: Role): string => `fedbiot-${uid}-${role}`;

export function redisAccess(
  job: JobObject,
  observed: Observed,
  settings: PlanSettings,
  standing: RedisUsersStanding,
): RedisAccess {
  if (job.spec.redis !== undefined || settings.redis === null) return { kind: 'brought' };
  const users = usersOf(job, observed.credentials, settings.redis, settings.secretKey);
  if (standing.kind === 'ready') return users;
  if (standing.kind === 'refused' && settings.allowSharedRedisCredentials)
    return { kind: 'shared', url: settings.redis.url };
  if (isEquipped(observed)) return { kind: 'kept' };
  // The pods run, but their Secret was deleted.
  if (hasBegun(observed)) return { ...users, grant: null };
  return { kind: 'none', why: standing };
}

function usersOf(
  { metadata: { uid } }: JobObject,
  secret: ObservedData | null,
  redis: OperatorRedis,
  secretKey: string,
) {
  const passwordOf = (role: Role) =>
    keptPassword(secret, uid, role) ?? derivedSecret(secretKey, uid, CREDENTIAL.redisUrl[role]);
  const passwords = { server: passwordOf('server'), client: passwordOf('client') };
  const endpoint = readRedisUrl(redis.url);
  const urlOf = (role: Role) =>
    writeRedisUrl({ ...endpoint, username: redisUser(uid, role), password: passwords[role] });
  return { kind: 'users', grant: passwords, urls: { server: urlOf('server'), client: urlOf('client') } } as const;
}

/** The password that the pods already use, even if the operator's key has changed since. */
function keptPassword(secret: ObservedData | null, uid: string, role: Role): string | null {
  const encoded = secret?.data?.[CREDENTIAL.redisUrl[role]];
  if (encoded === undefined) return null;
  try {
    const { username, password = '' } = readRedisUrl(decodeSecret(encoded));
    return username === redisUser(uid, role) && isSecret(password) ? password : null;
  } catch {
    return null;
  }
}

/** Whether the job's Secret has the keys that its pods need. */
function isEquipped(observed: Observed): boolean {
  const has = (key: string) => (observed.credentials?.data?.[key] ?? '') !== '';
  return (
    (has(CREDENTIAL.redisUrl.server) && has(CREDENTIAL.redisUrl.client)) ||
    (has(CREDENTIAL.oneRedisUrl) && hasBegun(observed))
  );
}

const hasBegun = ({ serverJob, clientsJob }: Observed): boolean => serverJob !== null && clientsJob !== null;

/**
 * The entries of a job's Secret for Redis. If an operator that did not create users started the job, pods of both roles
 * read the same URL.
 */
export function redisCredentials(access: RedisAccess, secret: ObservedData | null): Readonly<Record<string, string>> {
  const known = secret?.data ?? {};
  const both = (server: string, client: string) => ({
    [CREDENTIAL.redisUrl.server]: encodeSecret(server),
    [CREDENTIAL.redisUrl.client]: encodeSecret(client),
    ...(known[CREDENTIAL.oneRedisUrl] === undefined ? {} : { [CREDENTIAL.oneRedisUrl]: encodeSecret(server) }),
  });
  switch (access.kind) {
    case 'users':
      return both(access.urls.server, access.urls.client);
    case 'shared':
      return both(access.url, access.url);
    case 'kept':
      return Object.fromEntries(
        [CREDENTIAL.redisUrl.server, CREDENTIAL.redisUrl.client, CREDENTIAL.oneRedisUrl].flatMap((key) =>
          known[key] === undefined ? [] : [[key, known[key]]],
        ),
      );
    case 'brought':
    case 'none':
      return {};
  }
}
