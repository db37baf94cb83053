import type { JobObject } from '../objects/job-object.ts';
import { namesOf } from '../objects/owned-objects.ts';
import { CREDENTIAL } from '../objects/secret-data.ts';
import type { PlanSettings } from './settings.ts';

/** The Secret with the CA certificate for a job's Redis; null: the CAs that the image trusts. */
export function redisCaOf(
  job: JobObject,
  { redis }: PlanSettings,
): { readonly secret: string; readonly key: string } | null {
  if (job.spec.redis !== undefined) {
    const secret = job.spec.redis.tls?.caSecret.name;
    return secret === undefined ? null : { secret, key: 'ca.crt' };
  }
  return redis?.ca ? { secret: namesOf(job.metadata.name).credentials, key: CREDENTIAL.redisCa } : null;
}
