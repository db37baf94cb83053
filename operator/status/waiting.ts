import type { ObservedPod } from '../objects/observed.ts';
import { hasStarted, instant } from './observed-job.ts';
import type { Standing } from '../objects/outcome.ts';

/** How long a pod may wait without a reason, as for a volume that is being created. */
export const POD_USUAL_MS = 10_000;

/** The scheduler's words while a volume is being created for a claim. */
const UNBOUND = /unbound immediate PersistentVolumeClaims/;

/** The kubelet's usual reasons while a pod starts. */
const USUAL = ['ContainerCreating', 'PodInitializing'];

const CAMEL_CASE = /^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/;

/** Why pods have not started, as the scheduler or the kubelet reports it; null: they are starting. */
export function waitingReason(pods: readonly ObservedPod[], now: number): Standing | null {
  const waiting = pods.filter((pod) => !hasStarted(pod) && pod.metadata.deletionTimestamp === undefined);
  for (const find of [unscheduled, containerWaits, initRuns]) {
    for (const pod of waiting) {
      const found = find(pod, now);
      if (found !== null) return found;
    }
  }
  return null;
}

function unscheduled({ metadata, status }: ObservedPod, now: number): Standing | null {
  const condition = status?.conditions?.find(({ type, status: holds }) => type === 'PodScheduled' && holds === 'False');
  if (condition === undefined) return null;
  const isYoung = now < (instant(metadata.creationTimestamp) ?? now) + POD_USUAL_MS;
  if (isYoung && UNBOUND.test(condition.message ?? '')) return null;
  return reported(metadata.name, condition.reason ?? 'Unschedulable', condition.message);
}

/** A missing image, Secret, ConfigMap or key. A missing claim is reported by the scheduler. */
function containerWaits({ metadata, status }: ObservedPod): Standing | null {
  const states = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  const waiting = states
    .map(({ state }) => state?.waiting)
    .find((state) => state?.reason !== undefined && !USUAL.includes(state.reason));
  return waiting?.reason === undefined ? null : reported(metadata.name, waiting.reason, waiting.message);
}

/** An init container, which may run for any length of time. */
function initRuns({ metadata, status }: ObservedPod): Standing | null {
  const isInitialized = status?.conditions?.find(({ type }) => type === 'Initialized')?.status !== 'False';
  // Earlier ones that still run are sidecars.
  const last = status?.initContainerStatuses?.findLast(({ state }) => state?.running !== undefined);
  return isInitialized || last === undefined
    ? null
    : { reason: 'Initializing', message: `${metadata.name}: its init container ${last.name} runs.` };
}

/** A reason and message about the object `name`. */
export const reported = (name: string, reason: string, message: string | undefined): Standing => ({
  reason: CAMEL_CASE.test(reason) ? reason : 'Waiting',
  message: `${name}: ${message === undefined || message === '' ? reason : message}`,
});
