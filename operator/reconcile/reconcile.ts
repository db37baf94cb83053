import { isDeepStrictEqual } from 'node:util';
import type { FedBiOTJobStatus } from '../../crds/types.ts';
import { redisAccess } from '../plan/redis-access.ts';
import type { PlanSettings } from '../plan/settings.ts';
import { takenNames } from '../plan/taken-names.ts';
import { clientsGrace, timeToLive } from '../status/after-end.ts';
import type { Aspect } from '../status/conditions.ts';
import { eventsBetween } from '../status/events.ts';
import { lastEnd } from '../status/failure.ts';
import { podsRun } from '../status/lost-pod.ts';
import { toReplace } from '../status/lingering.ts';
import { instant, podsOf } from '../status/observed-job.ts';
import { judge } from '../status/judge.ts';
import { soonest } from '../status/verdict.ts';
import { redisIsolated } from '../status/redis-isolated.ts';
import { deriveStatus, secondsOf } from '../status/status.ts';
import { unexplained } from '../status/unexplained.ts';
import { carryOut } from './carry-out.ts';
import type { Done } from './carry-out.ts';
import { ownObjects } from './own-objects.ts';
import type { JobObject } from '../objects/job-object.ts';
import type { Observed, ObservedWarning } from '../objects/observed.ts';
import type { ReconcilePorts } from '../ports/reconcile-ports.ts';
import { refusalOf } from './refusal.ts';
import { reportUnreadable } from './report-unreadable.ts';

export interface ReconcileResult {
  /** Milliseconds until the next reconcile of the job at the latest; null: only when something changes. */
  readonly requeueAfterMs: number | null;
  /** Why the job is blocked; null: it is not. */
  readonly blocked: string | null;
}

const DONE: ReconcileResult = { requeueAfterMs: null, blocked: null };

/**
 * Makes a job's objects match its spec, and its status match the objects. Idempotent; rejects with errors of the API
 * server, for a retry with backoff.
 */
export async function reconcile(
  ports: ReconcilePorts,
  settings: PlanSettings,
  namespace: string,
  name: string,
): Promise<ReconcileResult> {
  const job = ports.getJob(namespace, name);
  if (job === null) await reportUnreadable(ports, namespace, name);
  if (job === null || isNotOurs(job)) return DONE;

  // One time for all steps: a deadline that passes between two of them would be missed.
  const now = ports.now();
  const found = await ports.observe(job);
  const observed = await explained(ports, job, ownObjects(job, found), now);
  const { outcome } = judge(job, observed, now);
  const standing = ports.redisUsers();
  const redis = redisAccess(job, observed, settings, standing);
  const input = {
    job,
    observed,
    settings,
    redis,
    outcome,
    clientsMayFinish: clientsGrace(job, outcome, now) > 0,
    toReplace: toReplace(observed, now),
    podsRun: podsRun(observed, now),
    now: secondsOf(now),
  };
  const done = await carryOut(ports, input, takenNames(job, found));
  const status = await writeStatus(ports, job, observed, done, redisIsolated(redis, standing, observed), now);
  recordEvents(ports, job, observed, status, done);
  return expire(ports, { ...job, status }, observed, done, now);
}

/** Deleted jobs are left to the garbage collector, and jobs with managedBy to their managers. */
const isNotOurs = ({ metadata, spec }: JobObject): boolean =>
  metadata.deletionTimestamp !== undefined || spec.managedBy !== undefined;

/** Adds Kubernetes' warnings about objects whose status does not explain why the job does not proceed. */
async function explained(ports: ReconcilePorts, job: JobObject, observed: Observed, now: number): Promise<Observed> {
  const warnings = new Map<string, ObservedWarning>();
  for (const { uid, ...reference } of unexplained(job, observed, now).objects) {
    const warning = await ports.lastWarning({ ...reference, uid });
    if (warning !== null) warnings.set(uid, warning);
  }
  return { ...observed, warnings };
}

async function writeStatus(
  ports: ReconcilePorts,
  job: JobObject,
  observed: Observed,
  { outcome, blocked }: Done,
  isolated: Aspect | null,
  now: number,
): Promise<FedBiOTJobStatus> {
  const progress = ports.progressOf(job.metadata.uid);
  const common = { job, observed, outcome, blocked, isolated, now };
  const write = async (status: FedBiOTJobStatus): Promise<FedBiOTJobStatus> => {
    if (!isDeepStrictEqual(status, job.status)) await ports.updateStatus(job, status);
    return status;
  };
  try {
    return await write(deriveStatus({ ...common, progress }));
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal?.isInvalid !== true || progress === null) throw error;
    // The rest of the status is written anyway.
    return await write(deriveStatus({ ...common, progress: null, progressRefused: refusal.message }));
  }
}

/** Writes events of the changes that the API server has accepted. */
function recordEvents(
  ports: ReconcilePorts,
  job: JobObject,
  observed: Observed,
  status: FedBiOTJobStatus,
  { created, blocked }: Done,
): void {
  if (created.length > 0)
    ports.recordEvent(job, { type: 'Normal', reason: 'Created', message: `Created ${created.join(', ')}` });
  const end = lastEnd(podsOf(observed.pods, 'server'));
  for (const event of eventsBetween(job.status ?? {}, status, end)) ports.recordEvent(job, event);
  // While the job is Pending, the condition Running reports it.
  if (blocked !== null && status.phase !== 'Pending') ports.recordEvent(job, { type: 'Warning', ...blocked });
}

/** Deletes a job whose time to live is over; else returns when to reconcile it again. */
async function expire(
  ports: ReconcilePorts,
  job: JobObject,
  observed: Observed,
  { outcome, blocked }: Done,
  now: number,
): Promise<ReconcileResult> {
  const { apiVersion, kind, metadata } = job;
  const left = timeToLive(job, now);
  if (left === 0) {
    await ports.deleteObject({
      apiVersion,
      kind,
      name: metadata.name,
      namespace: metadata.namespace,
      uid: metadata.uid,
    });
    return DONE;
  }
  const grace = clientsGrace(job, outcome, now);
  const { askAgainMs } = judge(job, observed, now);
  const { lookAgainMs, objects } = unexplained(job, observed, now);
  const retryMs = blocked !== null || objects.length > 0 ? retryAfter(job, now) : null;
  return {
    requeueAfterMs: soonest([left, askAgainMs, grace === 0 ? null : grace, lookAgainMs, retryMs]),
    blocked: blocked?.message ?? null,
  };
}

const MIN_RETRY_MS = 5_000;
const MAX_RETRY_MS = 120_000;

/**
 * Milliseconds until the next look at something that is not watched: as long as the condition Running has not changed,
 * so that the pauses double.
 */
function retryAfter({ status }: JobObject, now: number): number {
  const since = instant(status?.conditions?.find(({ type }) => type === 'Running')?.lastTransitionTime) ?? now;
  return Math.min(MAX_RETRY_MS, Math.max(MIN_RETRY_MS, now - since));
}
