import type { JobObject } from '../objects/job-object.ts';
import type { ObservedData } from '../objects/observed.ts';
import type { PlannedObject } from '../objects/planned.ts';
import { derivedSecret, isSecret } from './derived-secret.ts';
import { InvalidSpec } from './invalid-spec.ts';
import { headerOf } from './owned.ts';
import { redisCredentials } from './redis-access.ts';
import type { RedisAccess } from './redis-access.ts';
import { CREDENTIAL, decodeSecret, encodeSecret } from '../objects/secret-data.ts';
import type { PlanSettings } from './settings.ts';

/**
 * The job's bearer token and, unless the job names a Redis, its pods' credentials for the operator's Redis.
 * @throws InvalidSpec when neither the job nor the operator has a Redis
 */
export function credentials(
  job: JobObject,
  observed: ObservedData | null,
  settings: PlanSettings,
  access: RedisAccess,
): PlannedObject {
  if (job.spec.redis === undefined && settings.redis === null) {
    throw new InvalidSpec('spec.redis', 'is required: the operator was installed without a Redis');
  }
  const ownRedis = job.spec.redis === undefined ? settings.redis : null;
  // Pods use the existing token, so it is kept even if the operator's key has changed.
  const known = decodeSecret(observed?.data?.[CREDENTIAL.token] ?? '');
  const token = isSecret(known) ? known : derivedSecret(settings.secretKey, job.metadata.uid, CREDENTIAL.token);
  return {
    ...headerOf(job, 'credentials'),
    type: 'Opaque',
    data: {
      [CREDENTIAL.token]: encodeSecret(token),
      ...redisCredentials(access, observed),
      ...(ownRedis?.ca ? { [CREDENTIAL.redisCa]: encodeSecret(ownRedis.ca) } : {}),
    },
  };
}
