import { EXIT } from '../../crds/facts/exit-codes.ts';
import { ROLES } from '../../crds/facts/role.ts';
import type { Role } from '../../crds/facts/role.ts';
import { formatBytes } from '../../worker/report/format.ts';
import { memoryLimitOf } from '../plan/memory-limit.ts';
import type { MemoryLimit } from '../plan/memory-limit.ts';
import type { JobObject } from '../objects/job-object.ts';
import type { Observed, ObservedPod } from '../objects/observed.ts';
import { disruptionOf } from './disruption.ts';
import { endOf } from './failure.ts';
import { hasStarted, instant, podsOf, workerStatus } from './observed-job.ts';
import type { Verdict } from './verdict.ts';

/**
 * A pod whose memory ran out within its limit would most likely fail again, so the job has failed. Without a limit its
 * node had too little, and the Job retries, as it does after an eviction. A rule of the Job cannot tell this: a
 * container that was killed for any reason has the same exit code, and only the kubelet's reason says that it was for
 * memory. OOMKilled does not tell whether the limit or the node's memory was exhausted; with a limit, the limit is the
 * likely one, since the kubelet evicts pods before a node's memory ends. A pod that has been replaced, as by the Job of
 * an earlier version, has no say: its successor shows whether it fails again.
 */
export function outOfMemory(job: JobObject, { pods }: Observed): Verdict {
  for (const role of ROLES) {
    const limit = memoryLimitOf(job, role);
    const pod = limit === null ? undefined : lastingShortage(podsOf(pods, role));
    if (limit === null || pod === undefined) continue;
    const own = workerEnd(pod)?.exitCode === EXIT.outOfMemory ? endOf(pod)?.message : undefined;
    const message =
      own === undefined
        ? killed(pod, role, limit, job)
        : `${own.replace(/\.?$/, '.')} Raise ${limit.field} above ${limit.quantity}.`;
    return {
      outcome: {
        phase: 'Failed',
        reason: 'OutOfMemory',
        message: `The ${role} pod failed: ${message}`,
      },
    };
  }
  return null;
}

/** A pod that ran out of memory, and after whose end no other of its role has started. */
const lastingShortage = (pods: readonly ObservedPod[]): ObservedPod | undefined =>
  pods.find((pod) => ranOut(pod) && !pods.some((other) => hasStarted(other) && isSuccessor(other, pod)));

/** Pods of clients exist side by side, so a successor is one that was created after the other had ended. */
function isSuccessor({ metadata }: ObservedPod, earlier: ObservedPod): boolean {
  const ended = instant(workerEnd(earlier)?.finishedAt);
  const created = instant(metadata.creationTimestamp);
  return ended !== null && created !== null && created > ended;
}

/** Exit code of a container that was killed. */
const KILLED = 137;

/** Whether memory ran out in a pod that was not evicted meanwhile. */
function ranOut(pod: ObservedPod): boolean {
  const { exitCode, reason } = workerEnd(pod) ?? {};
  return (
    disruptionOf(pod) === null && (exitCode === EXIT.outOfMemory || (exitCode === KILLED && reason === 'OOMKilled'))
  );
}

const workerEnd = (pod: ObservedPod) => workerStatus(pod)?.state?.terminated;

function killed({ metadata }: ObservedPod, role: Role, { field, quantity }: MemoryLimit, { status }: JobObject) {
  const needed = status?.memory?.[role];
  const plan = needed === undefined ? '' : ` The plan is at least ${formatBytes(needed)} for a ${role} pod.`;
  return `${metadata.name} was killed as it reached its memory limit, ${quantity}.${plan} Raise ${field}, or use shorter sequences or smaller batches.`;
}
