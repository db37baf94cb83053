import { EXIT } from '../../crds/facts/exit-codes.ts';
import type { JobObject } from '../objects/job-object.ts';
import { conditionOf } from '../objects/observed-object.ts';
import type { ObservedJob } from '../objects/observed.ts';
import type { PlannedObject } from '../objects/planned.ts';
import type { Role } from '../../crds/facts/role.ts';
import { headerOf } from './owned.ts';
import { memoryLimitOf } from './memory-limit.ts';
import { podTemplate } from './pod.ts';
import { withChanges } from './pod-set.ts';
import type { PodSet } from './pod-set.ts';
import type { PlanSettings } from './settings.ts';
import { WORKER } from './worker-container.ts';

/** One server pod at a time, until one has finished the job. `admitted`: as Kueue has; null: the job is in no queue. */
export const serverJob = (job: JobObject, settings: PlanSettings, admitted: PodSet | null = null): PlannedObject =>
  workerJob(job, 'server', settings, admitted, { completions: 1, parallelism: 1 });

/**
 * Pods that share the tasks of the simulated clients. There are no `completions`: the pods end once the server reports
 * the end of the job.
 */
export const clientsJob = (job: JobObject, settings: PlanSettings, admitted: PodSet | null = null): PlannedObject =>
  workerJob(job, 'client', settings, admitted, { parallelism: admitted?.count ?? job.spec.client.pods });

/**
 * The Job controller replaces pods, and judges how they ended by these rules. The label of a queue is not passed on:
 * Kueue would admit each role by itself.
 */
function workerJob(
  job: JobObject,
  role: Role,
  settings: PlanSettings,
  admitted: PodSet | null,
  scale: object,
): PlannedObject {
  return {
    ...headerOf(job, role === 'server' ? 'serverJob' : 'clientsJob'),
    spec: {
      suspend: job.spec.suspend,
      backoffLimit: job.spec.backoffLimit,
      // A terminating pod may still hold its volume, its GPU or its tasks.
      podReplacementPolicy: 'Failed',
      podFailurePolicy: { rules: failureRules(role, memoryLimitOf(job, role) !== null) },
      ...scale,
      template: withChanges(podTemplate(job, role, settings), role, admitted?.changes ?? []),
    },
  };
}

const onExit = (action: string, values: readonly number[]) => ({
  action,
  onExitCodes: { containerName: WORKER, operator: 'In', values },
});

const failureRules = (role: Role, isMemoryLimited: boolean) => [
  // Only the user can fix an invalid job, so a retry would not help, even on another node.
  onExit('FailJob', [EXIT.invalid]),
  // Evictions, preemptions and lost nodes are not failures of the job.
  { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
  // The next pod would have the same limit. Without a limit, another node may have more memory.
  ...(isMemoryLimited ? [onExit('FailJob', [EXIT.outOfMemory])] : []),
  onExit('Ignore', role === 'client' ? [EXIT.unavailable, EXIT.interrupted] : [EXIT.interrupted]),
];

/** Whether a batch Job has completed or failed for good. */
export const hasEnded = (job: ObservedJob): boolean =>
  conditionOf(job, 'Complete') !== null || conditionOf(job, 'Failed') !== null;
