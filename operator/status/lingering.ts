import { EXIT } from '../../crds/facts/exit-codes.ts';
import { WORKER } from '../plan/worker-container.ts';
import type { Observed, ObservedPod } from '../objects/observed.ts';
import { instant, workerStatus } from './observed-job.ts';

/** A pod whose worker has ended while other containers still run: injected sidecars unknown to Kubernetes as such. */
interface Lingering {
  readonly exitCode: number;
  /** Names the ended worker and the running containers. */
  readonly message: string;
}

/** How long the other containers have to end by themselves. */
const GRACE_MS = 15_000;

/** null: the worker has not ended, or no other container runs. */
export function lingering(pod: ObservedPod): Lingering | null {
  const { metadata, status } = pod;
  const ended = workerStatus(pod)?.state?.terminated;
  if (ended === undefined || status?.phase === 'Succeeded' || status?.phase === 'Failed') return null;
  const others = (status?.containerStatuses ?? [])
    .filter(({ name, state }) => name !== WORKER && state?.running !== undefined)
    .map(({ name }) => name);
  if (others.length === 0) return null;
  const message = `The worker of ${metadata.name} has ended with exit code ${ended.exitCode}; other containers of its pod still run: ${others.join(', ')}.`;
  return { exitCode: ended.exitCode, message };
}

/** Milliseconds that the other containers still have to end; 0: none. */
export function graceLeft(pod: ObservedPod, now: number): number {
  const ended = instant(workerStatus(pod)?.state?.terminated?.finishedAt) ?? now;
  return Math.max(0, Math.min(GRACE_MS, ended + GRACE_MS - now));
}

/** Pods to delete and retry, as the time of their other containers is over. */
export const toReplace = ({ pods }: Observed, now: number): ObservedPod[] =>
  pods.filter((pod) => {
    const over = pod.metadata.deletionTimestamp === undefined ? lingering(pod) : null;
    return over !== null && !SETTLED.includes(over.exitCode) && graceLeft(pod, now) === 0;
  });

/** Exit codes that a retry would not change. */
const SETTLED: readonly number[] = [EXIT.succeeded, EXIT.invalid];
