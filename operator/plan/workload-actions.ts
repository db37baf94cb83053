import { conditionOf } from '../objects/observed-object.ts';
import type { JobObject } from '../objects/job-object.ts';
import type { Observed, ObservedOwned } from '../objects/observed.ts';
import type { Outcome } from '../objects/outcome.ts';
import { RESOURCE } from '../objects/resources.ts';
import { hasQuota, isSamePriority, mayChangePriority, priorityClassOf, queueOf } from '../objects/workload.ts';
import { deleteAction, referenceTo } from './action.ts';
import type { Action } from './action.ts';
import { isQueued, isStopped } from './quota.ts';
import { ownConditions, released } from './workload-status.ts';

export interface WorkloadInput {
  readonly job: JobObject;
  readonly observed: Observed;
  /** How the job has ended; null: it has not. */
  readonly outcome: Outcome | null;
  /** Whether a pod of the job has not ended. */
  readonly podsRun: boolean;
  /** RFC 3339. */
  readonly now: string;
}

/** What the job's Workload needs, if there is one. Quota is given back as soon as no pod uses it. */
export function workloadActions({ job, observed, outcome, podsRun, now }: WorkloadInput): Action[] {
  const { workload } = observed;
  if (workload === null || workload.metadata.deletionTimestamp !== undefined) return [];
  const remove = deleteAction(RESOURCE.workload, job, workload);
  const isFinished = conditionOf(workload, 'Finished') !== null;
  const stopped = isStopped(observed, podsRun);
  if (outcome !== null) return isFinished || !stopped ? [] : report(job, observed, workload, outcome, now);
  if (!isQueued(job, observed)) return [remove];
  // A new Workload asks for what the job needs when it resumes.
  if (job.spec.suspend || isFinished) return stopped ? [remove] : [];
  const evicted = conditionOf(workload, 'Evicted');
  if (evicted === null || !hasQuota(workload))
    return [...requeue(job, observed, workload), ...report(job, observed, workload, null, now)];
  const { resourceVersion = '' } = workload.metadata;
  const reference = { ...referenceTo(RESOURCE.workload, job, workload), resourceVersion };
  return stopped ? [{ kind: 'release', workload: reference, status: released(workload, evicted, now) }] : [];
}

/** Makes the Workload follow the job's labels, as far as Kueue lets it. */
function requeue(job: JobObject, { kueue }: Observed, workload: ObservedOwned): Action[] {
  const queueName = queueOf(job);
  const movesQueue = queueName !== undefined && queueName !== workload.spec?.queueName && !hasQuota(workload);
  const wanted = priorityClassOf(job);
  const isKnown = wanted === null || kueue.priority !== null;
  const changesPriority = isKnown && !isSamePriority(job, workload) && mayChangePriority(job, workload);
  const spec = {
    ...(movesQueue ? { queueName } : {}),
    ...(changesPriority ? { priorityClassRef: wanted, priority: wanted === null ? null : kueue.priority } : {}),
  };
  return Object.keys(spec).length === 0
    ? []
    : [{ kind: 'requeue', workload: referenceTo(RESOURCE.workload, job, workload), spec }];
}

function report(
  job: JobObject,
  observed: Observed,
  workload: ObservedOwned,
  outcome: Outcome | null,
  now: string,
): Action[] {
  const conditions = ownConditions({ ...observed, workload }, outcome, now);
  return conditions === null
    ? []
    : [{ kind: 'report', workload: referenceTo(RESOURCE.workload, job, workload), conditions }];
}
