import { EXIT } from '../../crds/facts/exit-codes.ts';
import type { ObservedPod } from '../objects/observed.ts';
import { conditionOf } from '../objects/observed-object.ts';
import type { ObservedCondition } from '../objects/observed-object.ts';
import { instant, workerStatus } from './observed-job.ts';
import type { Standing } from '../objects/outcome.ts';

/** An eviction, a preemption, a drain or a lost node, which takes a pod that has not failed; null: none. */
export const disruptionOf = (pod: ObservedPod): ObservedCondition | null => conditionOf(pod, 'DisruptionTarget');

const endOf = (pod: ObservedPod) => workerStatus(pod)?.state?.terminated;

/** Whether the pod has failed in a way that counts against spec.backoffLimit: its Job ignores the others. */
export const isFailure = (pod: ObservedPod): boolean =>
  pod.status?.phase === 'Failed' && disruptionOf(pod) === null && endOf(pod)?.exitCode !== EXIT.interrupted;

/** The reason of a standing: pods are disrupted. */
export const DISRUPTED = 'Disrupted';

/** The last disruption of a role's pods, if none of them has ended since; null: there is none after `since`. */
export function disrupted(pods: readonly ObservedPod[], since: number): Standing | null {
  const ends = pods
    .flatMap((pod) => {
      const disruption = disruptionOf(pod);
      const at = instant(disruption?.lastTransitionTime ?? endOf(pod)?.finishedAt);
      return at === null || at < since ? [] : [{ pod, disruption, at }];
    })
    .sort((a, b) => b.at - a.at);
  const [last] = ends;
  if (last === undefined || last.disruption === null) return null;
  const { reason, message = 'it gives no reason' } = last.disruption;
  return {
    reason: DISRUPTED,
    message: `Kubernetes takes ${last.pod.metadata.name} away${reason === undefined ? '' : ` (${reason})`}: ${message.replace(/\.$/, '')}. The pod is replaced; that is no failure.`,
  };
}
