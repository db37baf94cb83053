import type { Observed, ObservedJob, ObservedPod } from '../objects/observed.ts';
import type { Role } from '../../crds/facts/role.ts';
import { backoff } from './backoff.ts';
import { conditionOf, instant, podsOf, workerStatus } from './observed-job.ts';
import type { Outcome } from '../objects/outcome.ts';
import type { Verdict } from './verdict.ts';
import { readTerminationMessage } from './termination-message.ts';

/** The job has failed when the Job of either role has: its words are those of the pod that ended last. */
export function failure({ serverJob, clientsJob, pods }: Observed): Verdict {
  const outcome = failedRole('server', serverJob, pods) ?? failedRole('client', clientsJob, pods);
  return outcome === null ? null : { outcome };
}

function failedRole(role: Role, job: ObservedJob | null, pods: readonly ObservedPod[]): Outcome | null {
  // FailureTarget: the Job's end is settled, and only its pods' ends are waited for.
  const condition = job === null ? null : (conditionOf(job, 'Failed') ?? conditionOf(job, 'FailureTarget'));
  if (condition === null) return null;
  const told = lastEnd(podsOf(pods, role));
  const tries = backoff(condition);
  const reason = told?.reason ?? condition.reason ?? 'Failed';
  const cause = told?.message ?? condition.message ?? 'no pod told why';
  return { phase: 'Failed', reason, message: `The ${role} pod failed: ${cause}${tries === null ? '' : ` (${tries})`}` };
}

export interface PodEnd {
  readonly reason: string;
  readonly message: string;
}

/** Why the pod that failed last did. */
export function lastEnd(pods: readonly ObservedPod[]): PodEnd | null {
  const ends = pods
    .filter(({ status }) => status?.phase === 'Failed')
    .map((pod) => ({ pod, at: instant(workerStatus(pod)?.state?.terminated?.finishedAt) ?? 0 }))
    .sort((a, b) => b.at - a.at);
  for (const { pod } of ends) {
    const end = endOf(pod);
    if (end !== null) return end;
  }
  return null;
}

/** What is known of one pod's end: its own words first, then the kubelet's. */
export function endOf(pod: ObservedPod): PodEnd | null {
  const ended = workerStatus(pod)?.state?.terminated;
  if (ended?.exitCode === 0) return null;
  const said = readTerminationMessage(ended?.message);
  if (said !== null) return said;
  if (ended?.reason === 'OOMKilled') {
    return {
      reason: 'OOMKilled',
      message: `${pod.metadata.name} used more memory than its limit allows; raise resources.limits.memory`,
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
