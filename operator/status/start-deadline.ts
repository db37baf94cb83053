import type { JobObject } from '../objects/job-object.ts';
import type { Observed, ObservedJob, ObservedPod } from '../objects/observed.ts';
import type { Role } from '../../crds/facts/role.ts';
import { whyNotRunning } from './conditions.ts';
import { hasStarted, instant, podsOf } from './observed-job.ts';
import { isHeld, startOf } from './start.ts';
import { soonest } from './verdict.ts';
import type { Verdict } from './verdict.ts';
import { troubleOf } from './trouble.ts';

/** spec.startDeadlineSeconds: how long a role may be without a pod that has started, while it should have one. */
export function startDeadline(job: JobObject, observed: Observed, now: number): Verdict {
  const { startDeadlineSeconds } = job.spec;
  if (startDeadlineSeconds === undefined || isHeld(job, observed)) return null;
  const times: number[] = [];
  for (const [role, owner] of [
    ['server', observed.serverJob],
    ['client', observed.clientsJob],
  ] as const) {
    const pods = podsOf(observed.pods, role);
    const since = waitingSince(startOf(job, observed), owner, pods);
    if (since === null) continue;
    const left = since + startDeadlineSeconds * 1000 - now;
    if (left <= 0)
      return {
        outcome: {
          phase: 'Failed',
          reason: 'StartDeadlineExceeded',
          message: late(role, startDeadlineSeconds, troubleOf(role, observed, now)?.message ?? whyNotRunning(job)),
        },
      };
    times.push(left);
  }
  const askAgainMs = soonest(times);
  return askAgainMs === null ? null : { askAgainMs };
}

/** Since when a role has waited for a started pod; null: one has started, or none is wanted. `start`: of the job. */
function waitingSince(start: number | null, owner: ObservedJob | null, pods: readonly ObservedPod[]): number | null {
  // Its Job could not be created.
  if (owner === null) return start;
  if (owner.spec?.suspend === true) return null;
  const alive = pods.filter(({ status }) => status?.phase !== 'Failed');
  if (alive.some(hasStarted)) return null;
  const created = soonest(alive.map(({ metadata }) => instant(metadata.creationTimestamp)));
  // No pod and no failed one: the Job controller cannot create any, because of a quota or a webhook.
  const neverHadOne = pods.length === 0 && (owner.status?.failed ?? 0) === 0;
  return created ?? (neverHadOne ? instant(owner.status?.startTime) : null);
}

const late = (role: Role, seconds: number, why: string | null): string =>
  `No ${role} pod started within spec.startDeadlineSeconds (${seconds} s)${why === null ? '' : `: ${why}`}`;
