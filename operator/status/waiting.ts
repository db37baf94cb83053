import type { ObservedPod } from '../objects/observed.ts';
import { hasStarted } from './observed-job.ts';
import type { Standing } from '../objects/standing.ts';

/** What the kubelet says while all is well. */
const USUAL = ['ContainerCreating', 'PodInitializing'];

const CAMEL_CASE = /^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/;

/**
 * Why pods that have not started have not, in the scheduler's or the kubelet's words; null when they are just about to.
 */
export function waitingReason(pods: readonly ObservedPod[]): Standing | null {
  const waiting = pods.filter((pod) => !hasStarted(pod) && pod.metadata.deletionTimestamp === undefined);
  for (const find of [unscheduled, containerWaits, initRuns]) {
    for (const pod of waiting) {
      const found = find(pod);
      if (found !== null) return found;
    }
  }
  return null;
}

function unscheduled({ metadata, status }: ObservedPod): Standing | null {
  const condition = status?.conditions?.find(({ type, status: holds }) => type === 'PodScheduled' && holds === 'False');
  if (condition === undefined) return null;
  return told(metadata.name, condition.reason ?? 'Unschedulable', condition.message);
}

/** A missing image, Secret, ConfigMap or key of them; a claim that is missing is the scheduler's to tell. */
function containerWaits({ metadata, status }: ObservedPod): Standing | null {
  const states = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  const waiting = states
    .map(({ state }) => state?.waiting)
    .find((state) => state?.reason !== undefined && !USUAL.includes(state.reason));
  return waiting?.reason === undefined ? null : told(metadata.name, waiting.reason, waiting.message);
}

/** An init container, which may run for any time before the worker. */
function initRuns({ metadata, status }: ObservedPod): Standing | null {
  const isInitialized = status?.conditions?.find(({ type }) => type === 'Initialized')?.status !== 'False';
  // One that runs beside those after it is a sidecar.
  const last = status?.initContainerStatuses?.findLast(({ state }) => state?.running !== undefined);
  return isInitialized || last === undefined
    ? null
    : { reason: 'Initializing', message: `${metadata.name}: its init container ${last.name} runs.` };
}

/** A reason and message that concern the object `name`. */
export const told = (name: string, reason: string, message: string | undefined): Standing => ({
  reason: CAMEL_CASE.test(reason) ? reason : 'Waiting',
  message: `${name}: ${message === undefined || message === '' ? reason : message}`,
});
