import type { Observed, ObservedPod } from '../objects/observed.ts';
import { conditionOf } from '../objects/observed-object.ts';
import type { JobObject, Timestamp } from '../objects/job-object.ts';
import { LABEL } from '../objects/labels.ts';
import type { Role } from '../../crds/facts/role.ts';
import { WORKER } from '../plan/worker-container.ts';

/** Milliseconds since 1970; null: the time is missing or invalid. */
export function instant(time: Timestamp | undefined): number | null {
  const parsed = time === undefined ? Number.NaN : Date.parse(time);
  return Number.isNaN(parsed) ? null : parsed;
}

export const podsOf = (pods: readonly ObservedPod[], role: Role): ObservedPod[] =>
  pods.filter(({ metadata }) => metadata.labels?.[LABEL.role] === role);

/** The number of pods that a role should have. Kueue may have admitted fewer client pods than the job asks for. */
export const wantedPods = (role: Role, { spec }: JobObject, { clientsJob }: Observed): number =>
  role === 'server' ? 1 : (clientsJob?.spec?.parallelism ?? spec.client.pods);

export const workerStatus = (pod: ObservedPod) => pod.status?.containerStatuses?.find(({ name }) => name === WORKER);

/** Whether the pod's worker runs or has run. */
export function hasStarted(pod: ObservedPod): boolean {
  const state = workerStatus(pod)?.state;
  const phase = pod.status?.phase;
  return state?.running !== undefined || state?.terminated !== undefined || phase === 'Succeeded' || phase === 'Failed';
}

export const isRunning = (pod: ObservedPod): boolean => workerStatus(pod)?.state?.running !== undefined;

/** Whether the pod can do its work: its worker runs, and answers its readiness probe. */
export const isReady = (pod: ObservedPod): boolean => isRunning(pod) && conditionOf(pod, 'Ready') !== null;

/** Whether the pod's worker has done its work. */
export const hasFinished = (pod: ObservedPod): boolean => workerStatus(pod)?.state?.terminated?.exitCode === 0;
