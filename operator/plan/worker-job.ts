import { EXIT } from '../../crds/facts/exit-codes.ts';
import type { JobObject } from '../objects/job-object.ts';
import type { PlannedObject } from '../objects/planned.ts';
import { QUEUE_LABEL, queueOf } from '../objects/labels.ts';
import type { Role } from '../../crds/facts/role.ts';
import { metadataOf } from './owned.ts';
import { podTemplate } from './pod.ts';
import type { PlanSettings } from './settings.ts';
import { WORKER } from './worker-container.ts';

/** What both roles' Jobs have in common: the Job controller replaces pods, and judges their ends by these rules. */
export function workerJob(
  job: JobObject,
  role: Role,
  name: string,
  settings: PlanSettings,
  scale: object,
): PlannedObject {
  const metadata = metadataOf(job, name, role);
  const queue = queueOf(job);
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: queue === undefined ? metadata : { ...metadata, labels: { ...metadata.labels, [QUEUE_LABEL]: queue } },
    spec: {
      suspend: job.spec.suspend,
      backoffLimit: job.spec.backoffLimit,
      // A pod that is on its way out may still hold its volume, its GPU or its tasks.
      podReplacementPolicy: 'Failed',
      podFailurePolicy: { rules: failureRules(role) },
      ...scale,
      template: podTemplate(job, role, settings),
    },
  };
}

const onExit = (action: string, values: readonly number[]) => ({
  action,
  onExitCodes: { containerName: WORKER, operator: 'In', values },
});

const failureRules = (role: Role) => [
  // What only the user can change does not get better by trying again, not even on another node.
  onExit('FailJob', [EXIT.invalid]),
  // Eviction, preemption, the loss of a node: not the job's fault.
  { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
  onExit('Ignore', role === 'client' ? [EXIT.unavailable, EXIT.interrupted] : [EXIT.interrupted]),
];
