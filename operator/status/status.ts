import type { FedBiOTJobStatus, JobPhase } from '../../crds/types.ts';
import type { JobProgress } from '../../worker/cluster/progress.ts';
import { queueOf } from '../plan/labels.ts';
import type { JobObject, Observed } from '../reconcile/ports.ts';
import { restarts } from './backoff.ts';
import { shortened, withAspects } from './conditions.ts';
import type { Aspect } from './conditions.ts';
import { isRunning, podsOf } from './observed-job.ts';
import type { Outcome } from './outcome.ts';
import { progressStatus } from './progress-status.ts';
import { waitingReason } from './waiting.ts';

export interface StatusInput {
  readonly job: JobObject;
  readonly observed: Observed;
  readonly outcome: Outcome | null;
  /** Something outside that keeps the job from going on; null: nothing. */
  readonly blocked: Standing | null;
  readonly progress: JobProgress | null;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** Where a job stands that has not ended, or why it does not go on. */
export interface Standing {
  readonly reason: string;
  readonly message: string;
}

/** The job's status as it is now. Of a job that has ended, phase and conditions stay; what its server told last may still come in. */
export function deriveStatus({ job, observed, outcome, blocked, progress, now }: StatusInput): FedBiOTJobStatus {
  const before = job.status ?? {};
  const { generation } = job.metadata;
  const told = progress === null ? {} : progressStatus(progress);
  if (before.phase === 'Succeeded' || before.phase === 'Failed') return { ...before, ...told };
  const standing = outcome ?? standingOf(job, observed, blocked);
  const message = shortened(standing.message);
  const time = secondsOf(now);
  const { startTime, ...rest } = before;
  const start = standing.phase === 'Suspended' ? undefined : (startTime ?? time);
  return {
    ...rest,
    ...told,
    phase: standing.phase,
    message,
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    ...(start === undefined ? {} : { startTime: start }),
    ...(outcome === null ? {} : { completionTime: time }),
    restarts: restarts(observed, before.restarts ?? 0),
    conditions: withAspects(before.conditions ?? [], aspectsOf(job, standing), time, generation),
  };
}

interface PhaseStanding extends Standing {
  readonly phase: JobPhase;
}

/** Where a job stands that has not ended. */
function standingOf(job: JobObject, observed: Observed, blocked: Standing | null): PhaseStanding {
  if (job.spec.suspend) return { phase: 'Suspended', reason: 'SuspendedBySpec', message: 'spec.suspend is true.' };
  if (blocked !== null) return { phase: 'Pending', ...blocked };
  const server = podsOf(observed.pods, 'server');
  const waiting = waitingReason(server) ?? waitingReason(podsOf(observed.pods, 'client'));
  if (server.some(isRunning)) {
    return { phase: 'Running', reason: 'ServerRunning', message: waiting === null ? 'The server pod runs.' : `The server pod runs; ${waiting.message}` };
  }
  // Until its Job says so too, or a policy of the Job judges otherwise.
  if (server.some(({ status }) => status?.phase === 'Succeeded')) return { phase: 'Running', reason: 'ServerFinished', message: 'The server pod has finished.' };
  if (waiting !== null) return { phase: 'Pending', ...waiting };
  const queue = queueOf(job);
  if (queue !== undefined && observed.serverJob?.spec?.suspend === true) {
    return { phase: 'Pending', reason: 'Queued', message: `The job waits to be admitted by queue ${queue}.` };
  }
  const refused = observed.serverJob?.status?.failed ?? 0;
  return refused > 0
    ? { phase: 'Pending', reason: 'Restarting', message: 'The server pod failed and is being replaced.' }
    : { phase: 'Pending', reason: 'Starting', message: 'The pods are being started.' };
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
  // A job that could not be read for a while: a later operator knows more, or its author has changed what may be changed.
  const wasUnreadable = job.status?.conditions?.some(({ type }) => type === 'Valid') ?? false;
  const valid: Aspect[] = wasUnreadable ? [{ type: 'Valid', holds: true, reason: 'Readable', message: 'The job can be read.' }] : [];
  const ended: Aspect[] = phase === 'Succeeded' || phase === 'Failed' ? [{ type: phase, holds: true, reason, message }] : [];
  return [...valid, ...suspended, running, ...ended];
}

/** RFC 3339 in whole seconds, as Kubernetes writes times. */
export const secondsOf = (now: number): string => `${new Date(now).toISOString().slice(0, 19)}Z`;
