import type { Observed, ObservedJob, ObservedPod } from '../objects/observed.ts';
import type { ObservedCondition } from '../objects/observed-object.ts';
import type { Role } from '../../crds/facts/role.ts';
import { conditionOf } from '../objects/observed-object.ts';
import { isFailure } from './disruption.ts';
import { instant, podsOf, workerStatus } from './observed-job.ts';
import type { Outcome } from '../objects/outcome.ts';
import type { Verdict } from './verdict.ts';
import { readTerminationMessage } from './termination-message.ts';

/** The job has failed when the Job of either role has. The reason is that of the pod that ended last. */
export function failure({ serverJob, clientsJob, pods }: Observed): Verdict {
  const outcome = failedRole('server', serverJob, pods) ?? failedRole('client', clientsJob, pods);
  return outcome === null ? null : { outcome };
}

function failedRole(role: Role, job: ObservedJob | null, pods: readonly ObservedPod[]): Outcome | null {
  // FailureTarget: the Job will fail once its pods have ended.
  const condition = job === null ? null : (conditionOf(job, 'Failed') ?? conditionOf(job, 'FailureTarget'));
  if (condition === null) return null;
  const end = lastEnd(podsOf(pods, role));
  const reason = end?.reason ?? condition.reason ?? 'Failed';
  const cause = end?.message ?? condition.message ?? 'no pod reported a reason';
  return { phase: 'Failed', reason, message: `The ${role} pod failed: ${cause}${retriesUsed(condition)}` };
}

/** Says that the Job controller has used all retries, if that was the reason. */
const retriesUsed = ({ reason }: ObservedCondition): string =>
  reason === 'BackoffLimitExceeded' ? ' (all retries of spec.backoffLimit were used)' : '';

export interface PodEnd {
  readonly reason: string;
  readonly message: string;
}

/** Why the last failed pod failed. */
export function lastEnd(pods: readonly ObservedPod[]): PodEnd | null {
  const ends = pods
    .filter(isFailure)
    .map((pod) => ({ pod, at: instant(workerStatus(pod)?.state?.terminated?.finishedAt) ?? 0 }))
    .sort((a, b) => b.at - a.at);
  for (const { pod } of ends) {
    const end = endOf(pod);
    if (end !== null) return end;
  }
  return null;
}

/** Why a pod failed, from its termination message or else from the kubelet. */
export function endOf(pod: ObservedPod): PodEnd | null {
  const ended = workerStatus(pod)?.state?.terminated;
  if (ended?.exitCode === 0) return null;
  const reported = readTerminationMessage(ended?.message);
  if (reported !== null) return reported;
  if (ended?.reason === 'OOMKilled') {
    return {
      reason: 'OutOfMemory',
      message: `${pod.metadata.name} was killed as memory ran out; its node has too little for a pod without a memory limit`,
    };
  }
  if (ended !== undefined)
    return { reason: 'PodFailed', message: `${pod.metadata.name} ended with exit code ${ended.exitCode}` };
  const before = pod.status?.initContainerStatuses?.find(({ state }) => (state?.terminated?.exitCode ?? 0) !== 0);
  if (before !== undefined) {
    return {
      reason: 'PodFailed',
      message: `the init container ${before.name} of ${pod.metadata.name} ended with exit code ${before.state?.terminated?.exitCode}`,
    };
  }
  const { reason, message } = pod.status ?? {};
  return reason === undefined ? null : { reason, message: message ?? `${pod.metadata.name}: ${reason}` };
}
