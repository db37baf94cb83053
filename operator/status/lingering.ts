import { EXIT } from '../../worker/cluster/pod.ts';
import { WORKER } from '../plan/worker-container.ts';
import type { Observed, ObservedPod } from '../reconcile/ports.ts';
import { instant, workerStatus } from './observed-job.ts';

/** A pod whose worker has ended while others of its containers run on: sidecars that were put into it and are none to Kubernetes. */
interface Lingering {
  readonly exitCode: number;
  /** What has ended and what is waited for, in a sentence. */
  readonly message: string;
}

/** How long the others have to end by themselves. */
const GRACE_MS = 15_000;

/** null: the worker has not ended, or nothing is left of its pod. */
export function lingering(pod: ObservedPod): Lingering | null {
  const { metadata, status } = pod;
  const ended = workerStatus(pod)?.state?.terminated;
  if (ended === undefined || status?.phase === 'Succeeded' || status?.phase === 'Failed') return null;
  const others = (status?.containerStatuses ?? []).filter(({ name, state }) => name !== WORKER && state?.running !== undefined).map(({ name }) => name);
  if (others.length === 0) return null;
  const message = `The worker of ${metadata.name} has ended with exit code ${ended.exitCode}; other containers of its pod still run: ${others.join(', ')}.`;
  return { exitCode: ended.exitCode, message };
}

/** Milliseconds that the others still have; 0: their time is over. */
export function graceLeft(pod: ObservedPod, now: number): number {
  const ended = instant(workerStatus(pod)?.state?.terminated?.finishedAt) ?? now;
  return Math.max(0, Math.min(GRACE_MS, ended + GRACE_MS - now));
}

/** Pods that are to be tried again, and whose other containers have had their time. */
export const toReplace = ({ pods }: Observed, now: number): ObservedPod[] =>
  pods.filter((pod) => {
    const over = pod.metadata.deletionTimestamp === undefined ? lingering(pod) : null;
    return over !== null && !SETTLED.includes(over.exitCode) && graceLeft(pod, now) === 0;
  });

/** Exit codes of which another try makes nothing else. */
const SETTLED: readonly number[] = [EXIT.succeeded, EXIT.invalid];
