import type { JobObject, Observed, ObservedJob, ObservedPod } from '../reconcile/ports.ts';
import type { Role } from '../plan/labels.ts';
import { hasStarted, instant, podsOf } from './observed-job.ts';
import { soonest } from './outcome.ts';
import type { Verdict } from './outcome.ts';
import { waitingReason } from './waiting.ts';

/** spec.startDeadlineSeconds: how long a role may be without a pod that has started, while it should have one. */
export function startDeadline(job: JobObject, observed: Observed, now: number): Verdict {
  const { startDeadlineSeconds, suspend } = job.spec;
  if (startDeadlineSeconds === undefined || suspend) return null;
  const times: number[] = [];
  for (const [role, owner] of [['server', observed.serverJob], ['client', observed.clientsJob]] as const) {
    const pods = podsOf(observed.pods, role);
    const since = waitingSince(owner, pods);
    if (since === null) continue;
    const left = since + startDeadlineSeconds * 1000 - now;
    if (left <= 0) return { outcome: { phase: 'Failed', reason: 'StartDeadlineExceeded', message: late(role, startDeadlineSeconds, pods) } };
    times.push(left);
  }
  const askAgainMs = soonest(times);
  return askAgainMs === null ? null : { askAgainMs };
}

/** Since when a role's pods have been waiting to start; null when one has, or none is wanted. */
function waitingSince(owner: ObservedJob | null, pods: readonly ObservedPod[]): number | null {
  if (owner === null || owner.spec?.suspend === true) return null;
  const alive = pods.filter(({ status }) => status?.phase !== 'Failed');
  if (alive.some(hasStarted)) return null;
  const created = soonest(alive.map(({ metadata }) => instant(metadata.creationTimestamp)));
  // Without pods and without one that failed, the Job controller cannot make any: a quota, an admission webhook.
  const neverHadOne = pods.length === 0 && (owner.status?.failed ?? 0) === 0;
  return created ?? (neverHadOne ? instant(owner.status?.startTime) : null);
}

function late(role: Role, seconds: number, pods: readonly ObservedPod[]): string {
  const why = waitingReason(pods);
  return `No ${role} pod started within spec.startDeadlineSeconds (${seconds} s)${why === null ? '' : `: ${why.message}`}`;
}
