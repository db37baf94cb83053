import { isDeepStrictEqual } from 'node:util';
import type { FedBiOTJobStatus } from '../../crds/types.ts';
import { InvalidSpec } from '../plan/invalid-spec.ts';
import { isOwned } from '../plan/owned.ts';
import { plan } from '../plan/plan.ts';
import type { Action } from '../plan/plan.ts';
import type { PlanSettings } from '../plan/settings.ts';
import { takenNames } from '../plan/taken-names.ts';
import { clientsGrace } from '../status/clients-grace.ts';
import { eventsBetween } from '../status/events.ts';
import { lastEnd } from '../status/failure.ts';
import { podsOf } from '../status/observed-job.ts';
import { judge, soonest } from '../status/outcome.ts';
import type { Outcome } from '../status/outcome.ts';
import { deriveStatus } from '../status/status.ts';
import type { Standing } from '../status/status.ts';
import { timeToLive } from '../status/ttl-after-finished.ts';
import { ownObjects } from './own-objects.ts';
import { refusalOf } from './refusal.ts';
import { tellUnreadable } from './tell-unreadable.ts';
import type { JobObject, Observed, ReconcilePorts } from './ports.ts';

export interface ReconcileResult {
  /** Milliseconds until the job is to be looked at again, whatever happens; null: when something changes. */
  readonly requeueAfterMs: number | null;
}

const DONE: ReconcileResult = { requeueAfterMs: null };

/** While a name is taken, how often to look whether it is free: its owner is not watched. */
const TAKEN_RETRY_MS = 30_000;

/**
 * Brings a job's objects to what its spec says, and its status to what has become of them. Idempotent; throws what the API server
 * answers, to be tried again with backoff.
 */
export async function reconcile(ports: ReconcilePorts, settings: PlanSettings, namespace: string, name: string): Promise<ReconcileResult> {
  const job = ports.getJob(namespace, name);
  if (job === null) await tellUnreadable(ports, namespace, name);
  if (job === null || isNotOurs(job)) return DONE;

  const found = await ports.observe(job);
  const observed = ownObjects(job, found);
  const { outcome } = judge(job, observed, ports.now());
  const taken = takenNames(job, found);
  const done = taken.length > 0 ? { outcome, created: [], taken } : await carryOut(ports, settings, job, observed, outcome);
  const status = await writeStatus(ports, job, observed, done);
  tellEvents(ports, job, observed, status, done.created);
  return expire(ports, { ...job, status }, observed, done);
}

/** What came of carrying out the plan. */
interface Done {
  readonly outcome: Outcome | null;
  /** `Kind name` of the objects that were made. */
  readonly created: readonly string[];
  /** `Kind name` of objects that stand where the job's should, and are not its own. */
  readonly taken: readonly string[];
}

/** Jobs on their way out are the garbage collector's; jobs managed by others are theirs. */
const isNotOurs = ({ metadata, spec }: JobObject): boolean => metadata.deletionTimestamp !== undefined || spec.managedBy !== undefined;

/** Plans and applies. What can never be applied ends the job. */
async function carryOut(ports: ReconcilePorts, settings: PlanSettings, job: JobObject, observed: Observed, outcome: Outcome | null): Promise<Done> {
  const created: string[] = [];
  try {
    const clientsMayFinish = clientsGrace(job, outcome, ports.now()) > 0;
    for (const action of plan({ job, observed, settings, outcome, clientsMayFinish })) {
      const result = await perform(ports, job, action);
      if (result === 'created') created.push(title(action));
      if (result === 'taken') return { outcome, created, taken: [title(action)] };
    }
    return { outcome, created, taken: [] };
  } catch (error) {
    const message = error instanceof InvalidSpec ? error.message : refusalOf(error);
    if (message === null || outcome !== null) throw error;
    return { outcome: { phase: 'Failed', reason: 'InvalidSpec', message }, created, taken: [] };
  }
}

async function perform(ports: ReconcilePorts, job: JobObject, action: Action): Promise<'created' | 'changed' | 'taken'> {
  switch (action.kind) {
    case 'create': {
      if ((await ports.create(action.object)) === 'created') return 'created';
      // Made a moment ago, and not in the caches yet; or somebody else's, which is never written over.
      const { apiVersion, kind, metadata } = action.object;
      const existing = await ports.read({ apiVersion, kind, name: metadata.name, namespace: metadata.namespace });
      return existing === null || isOwned(job, existing) ? 'changed' : 'taken';
    }
    case 'apply':
      await ports.apply(action.object);
      return 'changed';
    case 'suspend':
      await ports.patchSpec(action.job, { suspend: action.suspend });
      return 'changed';
  }
}

const title = (action: Action): string =>
  action.kind === 'suspend' ? `Job ${action.job.name}` : `${action.object.kind} ${action.object.metadata.name}`;

async function writeStatus(
  ports: ReconcilePorts,
  job: JobObject,
  observed: Observed,
  { outcome, taken }: Done,
): Promise<FedBiOTJobStatus> {
  const progress = ports.progressOf(job.metadata.uid);
  const blocked = taken.length === 0 ? null : nameTaken(taken);
  const status = deriveStatus({ job, observed, outcome, blocked, progress, now: ports.now() });
  if (!isDeepStrictEqual(status, job.status)) await ports.updateStatus(job, status);
  return status;
}

/** Only what the API server has taken is told. */
function tellEvents(ports: ReconcilePorts, job: JobObject, observed: Observed, status: FedBiOTJobStatus, created: readonly string[]): void {
  if (created.length > 0) ports.recordEvent(job, { type: 'Normal', reason: 'Created', message: `Created ${created.join(', ')}` });
  const end = lastEnd(podsOf(observed.pods, 'server'));
  for (const event of eventsBetween(job.status ?? {}, status, end)) ports.recordEvent(job, event);
}

/** Deletes a job whose time after its end is over, or says when to look again. */
async function expire(ports: ReconcilePorts, job: JobObject, observed: Observed, { outcome, taken }: Done): Promise<ReconcileResult> {
  const { apiVersion, kind, metadata } = job;
  const now = ports.now();
  const left = timeToLive(job, now);
  if (left === 0) {
    await ports.deleteObject({ apiVersion, kind, name: metadata.name, namespace: metadata.namespace, uid: metadata.uid });
    return DONE;
  }
  const grace = clientsGrace(job, outcome, now);
  const { askAgainMs } = judge(job, observed, now);
  return { requeueAfterMs: soonest([left, askAgainMs, grace === 0 ? null : grace, taken.length === 0 ? null : TAKEN_RETRY_MS]) };
}

const nameTaken = (names: readonly string[]): Standing => ({
  reason: 'NameTaken',
  message: `${names.join(', ')} ${names.length === 1 ? 'exists' : 'exist'} already and ${names.length === 1 ? 'is' : 'are'} not this job's; delete ${
    names.length === 1 ? 'it' : 'them'
  }, or give the job another name.`,
});
