import { conditionOf } from '../objects/observed-object.ts';
import type { JobObject } from '../objects/job-object.ts';
import type { Observed } from '../objects/observed.ts';
import { isQueued, mayStart, mustWait } from '../plan/quota.ts';
import { instant } from './observed-job.ts';

/** Whether the job has no pods on purpose: it is suspended, or waits for its queue. */
export function isHeld(job: JobObject, observed: Observed): boolean {
  const hasNoJobs = observed.serverJob === null && observed.clientsJob === null;
  return job.spec.suspend || mustWait(job, observed) || (hasNoJobs && !mayStart(job, observed));
}

/** Since when the job may have pods, in milliseconds since 1970: in a queue, its admission. null: held, or new. */
export function startOf(job: JobObject, observed: Observed): number | null {
  if (isHeld(job, observed)) return null;
  const { workload } = observed;
  const admitted = workload === null || !isQueued(job, observed) ? null : conditionOf(workload, 'Admitted');
  return instant(admitted?.lastTransitionTime ?? job.status?.startTime);
}
