import type { JobObject } from '../objects/job-object.ts';
import type { Observed, ObservedObject } from '../objects/observed.ts';
import { namesOf } from '../objects/names.ts';
import { outputClaim } from './output-claim.ts';
import { isOwned } from './owned.ts';

/** The names of the observed objects that the job needs and that are not its own. */
export function takenNames(job: JobObject, observed: Observed): string[] {
  const names = namesOf(job.metadata.name);
  const needed: [string, ObservedObject | null][] = [
    [`NetworkPolicy ${names.server}`, observed.serverPolicy],
    [`NetworkPolicy ${names.clients}`, observed.clientsPolicy],
    [`ConfigMap ${names.configMap}`, observed.configMap],
    [`Secret ${names.credentials}`, observed.credentials],
    [`Service ${names.service}`, observed.service],
    [`PersistentVolumeClaim ${names.output}`, outputClaim(job) === null ? null : observed.outputClaim],
    [`Job ${names.server}`, observed.serverJob],
    [`Job ${names.clients}`, observed.clientsJob],
  ];
  return needed.filter(([, object]) => object !== null && !isOwned(job, object)).map(([name]) => name);
}
