import type { Role } from '../../crds/facts/role.ts';
import { conditionOf } from '../objects/observed-object.ts';
import type { JobObject } from '../objects/job-object.ts';
import type { Observed } from '../objects/observed.ts';
import type { Standing } from '../objects/outcome.ts';
import type { Aspect } from './conditions.ts';
import { disrupted, disruptionOf } from './disruption.ts';
import { lostPod } from './lost-pod.ts';
import { hasFinished, instant, isReady, podsOf, wantedPods } from './observed-job.ts';
import { troubleOf } from './trouble.ts';

/** The condition of each role's pods. */
export const READY_TYPE = { server: 'ServerReady', client: 'ClientsReady' } as const satisfies Record<
  Role,
  Aspect['type']
>;

/** How many of a role's pods are ready. */
export interface RoleStanding {
  readonly ready: number;
  readonly wanted: number;
  /** What keeps the others from being ready; null: nothing is known, or there are no others. */
  readonly trouble: Standing | null;
}

export type RoleStandings = Readonly<Record<Role, RoleStanding>>;

export function roleStanding(role: Role, job: JobObject, observed: Observed, now: number): RoleStanding {
  const pods = podsOf(observed.pods, role);
  const wanted = wantedPods(role, job, observed);
  const works = pods.filter((pod) => isReady(pod) && lostPod(pod, now) === null && disruptionOf(pod) === null);
  // A pod that has finished is not missed.
  const ready = Math.min(wanted, works.length + pods.filter(hasFinished).length);
  const trouble = ready === wanted ? null : (troubleOf(role, observed, now) ?? disrupted(pods, readySince(role, job)));
  return { ready, wanted, trouble };
}

/** When the role's pods were last all ready, in milliseconds since 1970; 0: that is not known, or they are not. */
function readySince(role: Role, job: JobObject): number {
  return instant(conditionOf(job, READY_TYPE[role])?.lastTransitionTime) ?? 0;
}

/** `1 of 2 client pods are ready.` */
export const countOf = (role: Role, { ready, wanted }: RoleStanding): string =>
  role === 'server'
    ? `The server pod is ${ready === 0 ? 'not ready yet' : 'ready'}.`
    : `${ready} of ${wanted} client pods are ready.`;
