import { conditionOf } from '../objects/observed-object.ts';
import type { JobObject } from '../objects/job-object.ts';
import type { Observed, ObservedOwned } from '../objects/observed.ts';
import type { Outcome } from '../objects/outcome.ts';
import {
  assignmentOf,
  hasQuota,
  isSamePriority,
  mayChangePriority,
  PRIORITY_LABEL,
  QUEUE_LABEL,
  queueOf,
} from '../objects/workload.ts';
import { isQueued } from '../plan/quota.ts';
import type { Aspect } from './conditions.ts';
import { reported } from './waiting.ts';

/** Whether the job has quota, in Kueue's words; null: it is in no queue, and was in none. */
export function quotaReserved(job: JobObject, observed: Observed, outcome: Outcome | null): Aspect | null {
  const type = 'QuotaReserved';
  const { workload } = observed;
  if (workload !== null && hasQuota(workload)) {
    const late = tooLate(job, workload);
    const { message = '' } = conditionOf(workload, type) ?? {};
    const words = [`${message}${partOf(job, workload)}.`, ...late].join(' ');
    return { type, holds: true, reason: late.length === 0 ? type : 'ChangeWaits', message: words };
  }
  const missing = (reason: string, message: string): Aspect => ({ type, holds: false, reason, message });
  const before = job.status?.conditions?.find((condition) => condition.type === type);
  if (outcome !== null)
    return before === undefined ? null : missing('Finished', 'The job has ended and needs no quota.');
  if (!isQueued(job, observed)) return before === undefined ? null : missing('NotQueued', 'The job is in no queue.');
  if (job.spec.suspend) return missing('Suspended', 'A suspended job needs no quota.');
  const why = workload?.status?.conditions?.find((condition) => condition.type === type);
  if (why === undefined) return missing('Pending', `The job waits in queue ${queueOf(job) ?? ''}.`);
  const { reason, message } = reported(`Queue ${queueOf(job) ?? ''}`, why.reason ?? 'Pending', why.message);
  return missing(reason, message);
}

/** Of client pods that Kueue has admitted in part. */
function partOf({ spec }: JobObject, workload: ObservedOwned): string {
  const count = assignmentOf(workload, 'client')?.count;
  return count === undefined || count === spec.client.pods ? '' : `, for ${count} of ${spec.client.pods} client pods`;
}

/** Labels that have changed since the quota was reserved. */
function tooLate(job: JobObject, workload: ObservedOwned): string[] {
  const queue = workload.spec?.queueName ?? '';
  const changed = [
    ...(queueOf(job) === queue ? [] : [`${QUEUE_LABEL}, which was ${queue}`]),
    ...(isSamePriority(job, workload) || mayChangePriority(job, workload)
      ? []
      : [`${PRIORITY_LABEL}, which was ${workload.spec?.priorityClassRef?.name ?? 'absent'}`]),
  ];
  return changed.map((label) => `The label ${label}, has changed: it is read when the job is queued again.`);
}
