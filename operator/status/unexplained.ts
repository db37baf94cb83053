import { hasEnded } from '../plan/worker-job.ts';
import { ROLES } from '../../crds/facts/role.ts';
import type { Role } from '../../crds/facts/role.ts';
import type { JobObject } from '../objects/job-object.ts';
import type { ObjectReference } from '../objects/planned.ts';
import type { Observed, ObservedJob } from '../objects/observed.ts';
import type { ObservedMetadata } from '../objects/observed-object.ts';
import { untilLate } from './lost-pod.ts';
import { hasStarted, instant, podsOf, wantedPods } from './observed-job.ts';
import { soonest } from './verdict.ts';
import { POD_USUAL_MS, waitingReason } from './waiting.ts';

/** How long a Job may lack a pod before events are read. */
const JOB_USUAL_MS = 5_000;

interface Unexplained {
  /** Objects about which Kubernetes may have written a warning. */
  readonly objects: readonly (ObjectReference & { readonly uid: string })[];
  /** Milliseconds until time alone may add objects; null: never. */
  readonly lookAgainMs: number | null;
}

/** Jobs that lack pods, and pods that wait without a reason. */
export function unexplained(job: JobObject, observed: Observed, now: number): Unexplained {
  const { phase } = job.status ?? {};
  if (phase === 'Succeeded' || phase === 'Failed' || job.spec.suspend) return { objects: [], lookAgainMs: null };
  const objects: (ObjectReference & { readonly uid: string })[] = [];
  const times = observed.pods.map((pod) => untilLate(pod, now));
  for (const role of ROLES) {
    const found = waits(job, observed, role, now);
    if (found === null) continue;
    const { name, uid, creationTimestamp } = found.metadata;
    if (uid === undefined) continue;
    const usual = Math.min(found.usualMs, (job.spec.startDeadlineSeconds ?? Infinity) * 1000);
    const left = (instant(creationTimestamp) ?? now) + usual - now;
    if (left > 0) times.push(left);
    else objects.push({ ...found.kind, name, namespace: job.metadata.namespace, uid });
  }
  return { objects, lookAgainMs: soonest(times) };
}

interface Waits {
  readonly kind: typeof POD | typeof JOB;
  readonly metadata: ObservedMetadata;
  readonly usualMs: number;
}

const POD = { apiVersion: 'v1', kind: 'Pod' } as const;
const JOB = { apiVersion: 'batch/v1', kind: 'Job' } as const;

/** The Job or pod of a role that waits without a known reason; null: none. */
function waits(job: JobObject, observed: Observed, role: Role, now: number): Waits | null {
  const { serverJob, clientsJob, pods } = observed;
  const owner = role === 'server' ? serverJob : clientsJob;
  if (owner === null || !wantsPods(owner)) return null;
  const ofRole = podsOf(pods, role);
  const missing = wantedPods(role, job, observed) - ofRole.filter(({ status }) => status?.phase !== 'Failed').length;
  if (missing > 0) return { kind: JOB, metadata: owner.metadata, usualMs: JOB_USUAL_MS };
  const silent = ofRole.find(
    (pod) => !hasStarted(pod) && pod.metadata.deletionTimestamp === undefined && waitingReason([pod], now) === null,
  );
  return silent === undefined ? null : { kind: POD, metadata: silent.metadata, usualMs: POD_USUAL_MS };
}

/** Whether the Job controller should create its pods. */
const wantsPods = (owner: ObservedJob): boolean =>
  owner.spec?.suspend !== true &&
  owner.metadata.deletionTimestamp === undefined &&
  !hasEnded(owner) &&
  (owner.status?.succeeded ?? 0) === 0;
