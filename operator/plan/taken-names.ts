import type { JobObject } from '../objects/job-object.ts';
import type { Observed } from '../objects/observed.ts';
import { OWNED_KEYS, titleOf } from '../objects/owned-objects.ts';
import type { OwnedKey } from '../objects/owned-objects.ts';
import { queueOf } from '../objects/workload.ts';
import { outputClaim } from './output-claim.ts';
import { isOwned } from './owned.ts';

/** `Kind name` of the objects that have a name which the job needs and that are not the job's own. */
export function takenNames(job: JobObject, observed: Observed): string[] {
  const isNeeded = (key: OwnedKey) =>
    key === 'outputClaim' ? outputClaim(job) !== null : key !== 'workload' || queueOf(job) !== undefined;
  const isTaken = (key: OwnedKey) => {
    const object = observed[key];
    return object !== null && !isOwned(job, object);
  };
  return OWNED_KEYS.filter((key) => isNeeded(key) && isTaken(key)).map((key) => titleOf(key, job.metadata.name));
}
