import { ROLES } from '../../crds/facts/role.ts';
import type { Role } from '../../crds/facts/role.ts';
import type { JobObject } from '../objects/job-object.ts';
import type { Observed } from '../objects/observed.ts';
import type { Standing } from '../objects/outcome.ts';
import type { Aspect } from './conditions.ts';
import { waitsForQuota } from './quota-standing.ts';
import { countOf, READY_TYPE } from './role-standing.ts';
import type { RoleStanding, RoleStandings } from './role-standing.ts';
import type { PhaseStanding } from './standing.ts';

interface ReadinessInput {
  readonly roles: RoleStandings;
  readonly standing: PhaseStanding;
  /** An obstacle outside the job; null: none. */
  readonly blocked: Standing | null;
}

/** Whether the pods of each role are ready, and with them the job. */
export function readiness(job: JobObject, observed: Observed, { roles, standing, blocked }: ReadinessInput): Aspect[] {
  const held = waitsForQuota(job, observed);
  const whyNone = (role: Role): Standing | null => {
    // Pods of a job that has ended, or is suspended, are not wanted.
    if (standing.phase !== 'Pending' && standing.phase !== 'Running') return standing;
    const owner = role === 'server' ? observed.serverJob : observed.clientsJob;
    return held !== null ? (blocked ?? held) : owner === null ? blocked : null;
  };
  const ofRoles = ROLES.map((role) => ofRole(role, roles[role], whyNone(role)));
  return [...ofJob(standing, ofRoles, observed.pods.length > 0), ...ofRoles];
}

/** `why`: why the role should have no pods, or can have none; null: it should have them. */
function ofRole(role: Role, standing: RoleStanding, why: Standing | null): Aspect {
  const type = READY_TYPE[role];
  if (why !== null) return { type, holds: false, reason: why.reason, message: why.message };
  const message = countOf(role, standing);
  if (standing.ready >= standing.wanted) return { type, holds: true, reason: 'PodsReady', message };
  return { type, holds: false, ...(standing.trouble ?? { reason: 'Starting', message }) };
}

function ofJob({ phase, reason, message }: PhaseStanding, ofRoles: readonly Aspect[], hasPods: boolean): Aspect[] {
  const missing = phase === 'Running' ? ofRoles.find(({ holds }) => !holds) : undefined;
  const isReady =
    phase === 'Succeeded' || (phase === 'Suspended' && !hasPods) || (phase === 'Running' && missing === undefined);
  return health(phase === 'Failed' ? 'stalled' : isReady ? 'ready' : 'reconciling', {
    reason: missing?.reason ?? reason,
    message,
  });
}

/**
 * The conditions by which tools that know nothing of the kind see how an object is, as kstatus defines them: `ready`
 * once the job is as its spec asks, `reconciling` while it is becoming so, `stalled` if it never will be.
 */
export const health = (state: 'ready' | 'reconciling' | 'stalled', why: Standing): Aspect[] => [
  { type: 'Ready', holds: state === 'ready', ...why },
  { type: 'Reconciling', holds: state === 'reconciling', ...why },
  { type: 'Stalled', holds: state === 'stalled', ...why },
];
