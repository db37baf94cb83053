import type { FedBiOTJobStatus } from '../../crds/types.ts';
import type { JobProgress } from '../../crds/facts/progress.ts';
import type { JobObject } from '../objects/job-object.ts';
import type { Observed } from '../objects/observed.ts';
import { isFailure } from './disruption.ts';
import { memorySufficient } from './memory-sufficient.ts';
import { shortened, withAspects } from './conditions.ts';
import type { Aspect } from './conditions.ts';
import type { Outcome, Standing } from '../objects/outcome.ts';
import { instant, podsOf } from './observed-job.ts';
import { progressStatus } from './progress-status.ts';
import { quotaReserved } from './quota-reserved.ts';
import { readiness } from './readiness.ts';
import { roleStanding } from './role-standing.ts';
import type { RoleStanding } from './role-standing.ts';
import { standingOf } from './standing.ts';
import type { PhaseStanding } from './standing.ts';
import { isHeld, startOf } from './start.ts';

export interface StatusInput {
  readonly job: JobObject;
  readonly observed: Observed;
  readonly outcome: Outcome | null;
  /** An obstacle outside the job; null: none. */
  readonly blocked: Standing | null;
  /** Whether the job's pods reach only its own keys in Redis; null: unchanged. */
  readonly isolated: Aspect | null;
  readonly progress: JobProgress | null;
  /** The API server's refusal of a status with this progress: its CRD may be older than the operator. */
  readonly progressRefused?: string;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/**
 * The job's current status. Phase and conditions of a job that has ended are final; its last progress may still arrive,
 * and with it the plan of its memory.
 */
export function deriveStatus({
  job,
  observed,
  outcome,
  blocked,
  isolated,
  progress,
  progressRefused,
  now,
}: StatusInput): FedBiOTJobStatus {
  const before = job.status ?? {};
  const { generation } = job.metadata;
  const reported = progress === null ? {} : progressStatus(progress);
  const mirrored = progress === null && progressRefused === undefined ? [] : mirroredAspects(job, progressRefused);
  const memory = memorySufficient(job, progress);
  const quota = quotaReserved(job, observed, outcome);
  const told = [...mirrored, memory, quota].filter((aspect) => aspect !== null);
  const time = secondsOf(now);
  const observedGeneration = generation === undefined ? {} : { observedGeneration: generation };
  if (before.phase === 'Succeeded' || before.phase === 'Failed') {
    const conditions = withAspects(before.conditions ?? [], told, time, generation);
    return { ...before, ...reported, ...observedGeneration, conditions };
  }
  const roles = {
    server: roleStanding('server', job, observed, now),
    client: roleStanding('client', job, observed, now),
  };
  const standing = outcome ?? standingOf(job, observed, roles, blocked, now);
  const message = shortened(standing.message);
  const { startTime, clientPods: _, clientPodsText: __, ...rest } = before;
  const start = outcome === null ? startOf(job, observed) : instant(startTime);
  const isWaiting = outcome === null && isHeld(job, observed);
  return {
    ...rest,
    ...reported,
    phase: standing.phase,
    message,
    ...observedGeneration,
    ...(isWaiting ? {} : { startTime: start === null ? time : secondsOf(start) }),
    ...(outcome === null ? clientPods(roles.client) : { completionTime: time }),
    restarts: restarts(observed, before.restarts ?? 0),
    conditions: withAspects(
      before.conditions ?? [],
      [
        ...aspectsOf(job, standing),
        ...told,
        ...(isolated === null ? [] : [isolated]),
        ...readiness(job, observed, { roles, standing, blocked }),
      ],
      time,
      generation,
    ),
  };
}

/** Whether the status shows the server pod's progress; reported only after a refusal. */
function mirroredAspects(job: JobObject, refused: string | undefined): Aspect[] {
  const type = 'ProgressMirrored';
  if (refused !== undefined) {
    return [
      {
        type,
        holds: false,
        reason: 'ProgressRefused',
        message: `The API server refuses the progress that the server pod reports: ${refused}`,
      },
    ];
  }
  const wasRefused = job.status?.conditions?.some((condition) => condition.type === type) ?? false;
  return wasRefused
    ? [
        {
          type,
          holds: true,
          reason: 'ProgressMirrored',
          message: 'The status shows the progress that the server pod reports.',
        },
      ]
    : [];
}

function aspectsOf(job: JobObject, { phase, reason, message }: PhaseStanding): Aspect[] {
  const running: Aspect = { type: 'Running', holds: phase === 'Running', reason, message };
  const wasSuspended = job.status?.conditions?.some(({ type }) => type === 'Suspended') ?? false;
  const suspended: Aspect[] =
    phase === 'Suspended'
      ? [{ type: 'Suspended', holds: true, reason, message }]
      : wasSuspended
        ? [{ type: 'Suspended', holds: false, reason: 'Resumed', message: 'spec.suspend is false.' }]
        : [];
  // The job could not be read before: the operator is newer now, or a mutable field has changed.
  const wasUnreadable = job.status?.conditions?.some(({ type }) => type === 'Valid') ?? false;
  const valid: Aspect[] = wasUnreadable
    ? [{ type: 'Valid', holds: true, reason: 'Readable', message: 'The job can be read.' }]
    : [];
  const ended: Aspect[] =
    phase === 'Succeeded' || phase === 'Failed' ? [{ type: phase, holds: true, reason, message }] : [];
  return [...valid, ...suspended, running, ...ended];
}

/** Client pods that are ready, of those wanted. */
const clientPods = ({ ready, wanted }: RoleStanding) => ({
  clientPods: { ready, wanted },
  clientPodsText: `${ready}/${wanted}`,
});

/** Failed server pods that were or will be replaced, without disrupted ones. Never less than `before`. */
function restarts({ serverJob, pods }: Observed, before: number): number {
  const seen = podsOf(pods, 'server').filter(isFailure).length;
  return Math.max(before, seen, serverJob?.status?.failed ?? 0);
}

/** RFC 3339 in whole seconds, as Kubernetes writes times. */
export const secondsOf = (now: number): string => `${new Date(now).toISOString().slice(0, 19)}Z`;
