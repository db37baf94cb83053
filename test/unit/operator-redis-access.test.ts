import t from 'tap';
import { credentials } from '../../operator/plan/credentials.ts';
import { plan } from '../../operator/plan/plan.ts';
import { podTemplate } from '../../operator/plan/pod.ts';
import { redisAccess } from '../../operator/plan/redis-access.ts';
import type { Observed } from '../../operator/objects/observed.ts';
import type { RedisUsersStanding } from '../../operator/objects/redis-standing.ts';
import { redisIsolated, waitsForRedis } from '../../operator/status/redis-isolated.ts';
import { readRedisUrl } from '../../worker/transport/redis/redis-url.ts';
import { jobObject, NOTHING, SETTINGS, UID, USERS } from '../support/planned-job.ts';

const job = jobObject();
const REFUSED: RedisUsersStanding = {
  kind: 'refused',
  reason: "NOPERM this user has no permissions to run the 'acl|setuser' command",
};
const AWAY: RedisUsersStanding = { kind: 'away', reason: 'connect ECONNREFUSED' };
const OPERATORS = 'redis://:secret@redis.fedbiot.svc:6379';

const base64 = (text: string) => Buffer.from(text).toString('base64');

/** The decoded values of the Secret. */
function secretOf(
  standing: RedisUsersStanding,
  observed: Observed = NOTHING,
  settings = SETTINGS,
): Record<string, string> {
  const { data = {} } = credentials(
    job,
    observed.credentials,
    settings,
    redisAccess(job, observed, settings, standing),
  );
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]));
}

const withSecret = (data: Readonly<Record<string, string>>, rest: Partial<Observed> = {}): Observed => ({
  ...NOTHING,
  credentials: {
    metadata: { name: '' },
    data: Object.fromEntries(Object.entries(data).map(([key, value]) => [key, base64(value)])),
  },
  ...rest,
});

const running = { serverJob: { metadata: { name: '' } }, clientsJob: { metadata: { name: '' } } };

t.test('a job has a user for each role, and nothing of the operator’s password', async (t) => {
  const secret = secretOf(USERS);
  t.strictSame(Object.keys(secret).sort(), ['redis-url-client', 'redis-url-server', 'token']);
  t.notMatch(JSON.stringify(secret), ':secret@');
  for (const role of ['server', 'client'] as const) {
    const { username, password, ...place } = readRedisUrl(secret[`redis-url-${role}`] ?? '');
    t.equal(username, `fedbiot-${UID}-${role}`);
    t.match(password, /^[\w-]{43}$/);
    t.strictSame(place, { host: 'redis.fedbiot.svc', port: 6379, isTls: false, database: 0 });
    const variable = podTemplate(job, role, SETTINGS).spec.containers[0]?.env?.find(
      ({ name }) => name === 'FEDBIOT_REDIS_URL',
    );
    t.strictSame(
      variable?.valueFrom,
      { secretKeyRef: { name: 'tiny-credentials', key: `redis-url-${role}` } },
      'its pods read that URL alone',
    );
  }
  t.not(secret['redis-url-server'], secret['redis-url-client']);
  t.strictSame(secretOf(USERS), secret, 'made again as it was');
  t.not(
    secretOf(USERS, NOTHING, { ...SETTINGS, secretKey: 'another key, of a later operator' })['redis-url-client'],
    secret['redis-url-client'],
  );
});

t.test('pods’ passwords are kept, and a foreign value in their place is replaced', async (t) => {
  const before = secretOf(USERS);
  const later = { ...SETTINGS, secretKey: 'another key, of a later operator' };
  t.strictSame(secretOf(USERS, withSecret(before), later), before);
  for (const url of [
    '',
    'redis://',
    OPERATORS,
    `redis://fedbiot-${UID}-client:short@redis.fedbiot.svc:6379`,
    `redis://fedbiot-other-client:${'a'.repeat(43)}@redis.fedbiot.svc:6379`,
  ]) {
    t.equal(
      secretOf(USERS, withSecret({ ...before, 'redis-url-client': url }))['redis-url-client'],
      before['redis-url-client'],
      url,
    );
  }
  const moved = {
    ...SETTINGS,
    redis: { url: 'rediss://op:secret@[fd00::1]:6380/2', ca: null, port: 6380, namespace: null },
  };
  t.equal(
    secretOf(USERS, withSecret(before), moved)['redis-url-client'],
    before['redis-url-client']?.replace('redis:', 'rediss:').replace('redis.fedbiot.svc:6379', '[fd00::1]:6380/2'),
    'Redis may move',
  );
});

t.test('users are created before the pods, with the passwords that the pods have', async (t) => {
  const redis = redisAccess(job, NOTHING, SETTINGS, USERS);
  const actions = plan({
    job,
    observed: NOTHING,
    settings: SETTINGS,
    redis,
    outcome: null,
    clientsMayFinish: false,
    toReplace: [],
    podsRun: false,
    now: '2026-01-01T00:00:00Z',
  });
  const kinds = actions.map((action) => (action.kind === 'create' ? `create ${action.object.kind}` : action.kind));
  t.strictSame(kinds.slice(3, 5), ['create Secret', 'grant']);
  t.ok(kinds.indexOf('grant') < kinds.indexOf('create Job'));
  const grant = actions.find((action) => action.kind === 'grant');
  const secret = secretOf(USERS);
  t.strictSame(grant?.passwords, {
    server: readRedisUrl(secret['redis-url-server'] ?? '').password,
    client: readRedisUrl(secret['redis-url-client'] ?? '').password,
  });
});

t.test('if Redis creates no users, a new job waits, unless sharing is allowed', async (t) => {
  const refused = redisAccess(job, NOTHING, SETTINGS, REFUSED);
  t.match(waitsForRedis(refused), {
    reason: 'RedisUsersRefused',
    message: /acl\|setuser.*--allow-shared-redis-credentials/,
  });
  t.match(waitsForRedis(redisAccess(job, NOTHING, SETTINGS, AWAY)), {
    reason: 'RedisUnreachable',
    message: /ECONNREFUSED/,
  });
  const sharing = { ...SETTINGS, allowSharedRedisCredentials: true };
  t.match(
    waitsForRedis(redisAccess(job, NOTHING, sharing, AWAY)),
    { reason: 'RedisUnreachable' },
    'one that does not answer has not refused',
  );
  const shared = redisAccess(job, NOTHING, sharing, REFUSED);
  t.equal(waitsForRedis(shared), null);
  t.match(secretOf(REFUSED, NOTHING, sharing), { 'redis-url-server': OPERATORS, 'redis-url-client': OPERATORS });
  t.match(redisIsolated(shared, REFUSED, NOTHING), {
    holds: false,
    reason: 'SharedCredentials',
    message: /acl\|setuser.*every job/,
  });
});

t.test('a job keeps its credentials while no users can be created', async (t) => {
  const before = secretOf(USERS);
  for (const standing of [AWAY, REFUSED]) {
    const observed = withSecret(before, running);
    const access = redisAccess(job, observed, SETTINGS, standing);
    t.equal(waitsForRedis(access), null);
    t.strictSame(secretOf(standing, observed), before);
    t.equal(redisIsolated(access, standing, observed), null, 'what was told of it stays');
  }
});

t.test('a Secret that is deleted while Redis is down is created again with the same content', async (t) => {
  for (const standing of [AWAY, REFUSED]) {
    t.strictSame(secretOf(standing, { ...NOTHING, ...running }), secretOf(USERS));
    const redis = redisAccess(job, { ...NOTHING, ...running }, SETTINGS, standing);
    t.match(redis, { kind: 'users', grant: null });
  }
});

t.test('a job that began under an operator without users in Redis', async (t) => {
  const old = { token: 't'.repeat(43), 'redis-url': OPERATORS };
  t.equal(waitsForRedis(redisAccess(job, withSecret(old, running), SETTINGS, REFUSED)), null);
  t.strictSame(secretOf(REFUSED, withSecret(old, running)), old, 'goes on as it began');
  t.match(
    waitsForRedis(redisAccess(job, withSecret(old), SETTINGS, REFUSED)),
    { reason: 'RedisUsersRefused' },
    'unless it has no pods yet, which would look for other keys',
  );
  const now = secretOf(USERS, withSecret(old, running));
  t.equal(now['redis-url'], now['redis-url-server'], 'its next pods, of either role, have the server’s user');
  t.notMatch(JSON.stringify(now), ':secret@');
  t.match(redisIsolated(redisAccess(job, withSecret(now, running), SETTINGS, USERS), USERS, withSecret(now, running)), {
    holds: false,
    reason: 'BeganWithout',
  });
});

t.test('the condition that reports how well jobs are isolated', async (t) => {
  const told = (standing: RedisUsersStanding) =>
    redisIsolated(redisAccess(job, NOTHING, SETTINGS, standing), standing, NOTHING);
  t.match(told(USERS), { type: 'RedisIsolated', holds: true, reason: 'UserPerRole' });
  t.match(told({ kind: 'ready', readOnlyKeys: false, isOpen: false }), {
    holds: true,
    reason: 'UserPerJob',
    message: /older than 7\.0/,
  });
  t.match(told({ kind: 'ready', readOnlyKeys: true, isOpen: true }), { holds: false, reason: 'DefaultUserOpen' });
  const brought = jobObject({ redis: { urlFrom: { name: 's', key: 'url' } } });
  t.equal(
    redisIsolated(redisAccess(brought, NOTHING, SETTINGS, USERS), USERS, NOTHING),
    null,
    'of a Redis that the job brings, nothing',
  );
});
