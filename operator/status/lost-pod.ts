import type { Observed, ObservedPod } from '../objects/observed.ts';
import { instant } from './observed-job.ts';
import type { Standing } from '../objects/outcome.ts';

/** How long a deleted pod may exist after its grace period: kubelets and controllers take a moment. */
const SLACK_MS = 30_000;

/** Milliseconds until a deleted pod is overdue; null: it is not deleted, or already overdue. */
export function untilLate({ metadata }: ObservedPod, now: number): number | null {
  const due = instant(metadata.deletionTimestamp);
  return due === null || due + SLACK_MS <= now ? null : due + SLACK_MS - now;
}

/** Reports a pod without contact, as on a lost node; null: it has contact, or has ended. */
export function lostPod(pod: ObservedPod, now: number): Standing | null {
  const { metadata, spec, status } = pod;
  if (status?.phase === 'Succeeded' || status?.phase === 'Failed') return null;
  const node = spec?.nodeName === undefined ? 'its node' : `its node ${spec.nodeName}`;
  const { deletionTimestamp } = metadata;
  if (deletionTimestamp !== undefined && untilLate(pod, now) === null) {
    return {
      reason: 'NodeLost',
      message: `${metadata.name} should have been gone by ${deletionTimestamp} and is still there: ${node} may be lost. The pod is replaced once Kubernetes has removed it.`,
    };
  }
  if (!isUnheard(pod)) return null;
  return {
    reason: 'NodeLost',
    message: `${metadata.name}: ${node} does not respond. Kubernetes replaces the pod unless the node comes back.`,
  };
}

/** Whether a pod has not ended: a lost one counts as ended, since nothing says when it will. */
export const podsRun = ({ pods }: Observed, now: number): boolean =>
  pods.some((pod) => !['Succeeded', 'Failed'].includes(pod.status?.phase ?? '') && lostPod(pod, now) === null);

/**
 * A kubelet reports ready containers and a ready pod together, apart from readiness gates. If only the pod is not
 * ready, the node controller has revoked it.
 */
function isUnheard({ status }: ObservedPod): boolean {
  const condition = (type: string) => status?.conditions?.find((each) => each.type === type);
  const ready = condition('Ready');
  const revoked =
    condition('ContainersReady')?.status === 'True' &&
    ready?.status === 'False' &&
    ready.reason !== 'ReadinessGatesNotReady';
  return revoked || status?.phase === 'Unknown' || status?.reason === 'NodeLost';
}
