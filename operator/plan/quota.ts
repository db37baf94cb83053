import { hasQuota, isAdmitted, queueOf } from '../objects/workload.ts';
import type { JobObject } from '../objects/job-object.ts';
import type { Observed, ObservedOwned } from '../objects/observed.ts';
import { hasEnded } from './worker-job.ts';

/**
 * Whether pods of the job run only under a Workload that Kueue has admitted. If the label is removed while they do, the
 * Workload counts until it is evicted or the job is suspended.
 */
export const isQueued = (job: JobObject, { workload }: Pick<Observed, 'workload'>): boolean =>
  queueOf(job) !== undefined || (workload !== null && hasQuota(workload));

/** Whether the job must not have pods now. If Kueue is gone, what runs goes on, and nothing is started. */
export function mustWait(job: JobObject, { workload, kueue }: Pick<Observed, 'workload' | 'kueue'>): boolean {
  if (!isQueued(job, { workload })) return false;
  return job.spec.suspend || (kueue.isServed && (workload === null || !isAdmitted(workload)));
}

/** Whether pods may be created now. */
export const mayStart = (job: JobObject, observed: Pick<Observed, 'workload' | 'kueue'>): boolean =>
  !mustWait(job, observed) && (!isQueued(job, observed) || observed.kueue.isServed);

/** Whether no pod runs, and none will be created. `podsRun`: some pod has not ended. */
export const isStopped = ({ serverJob, clientsJob }: Observed, podsRun: boolean): boolean =>
  !podsRun && [serverJob, clientsJob].every((job) => job === null || createsNoPods(job));

const createsNoPods = (job: ObservedOwned): boolean =>
  job.metadata.deletionTimestamp !== undefined || job.spec?.suspend === true || hasEnded(job);
