import { InvalidSpec } from '../plan/invalid-spec.ts';
import { isOwned } from '../plan/owned.ts';
import { plan, stops } from '../plan/plan.ts';
import type { PlanInput } from '../plan/plan.ts';
import { workloadActions } from '../plan/workload-actions.ts';
import type { Action } from '../plan/action.ts';
import { shortened } from '../status/conditions.ts';
import type { Outcome, Standing } from '../objects/outcome.ts';
import { waitsForKueue } from '../status/quota-standing.ts';
import { waitsForRedis } from '../status/redis-isolated.ts';
import type { JobObject } from '../objects/job-object.ts';
import type { ReconcilePorts } from '../ports/reconcile-ports.ts';
import { refusalOf } from './refusal.ts';

/** The result of carrying out the plan. */
export interface Done {
  readonly outcome: Outcome | null;
  /** `Kind name` of the created objects. */
  readonly created: readonly string[];
  /** A temporary obstacle to the rest of the plan; null: none. */
  readonly blocked: Standing | null;
}

/**
 * Plans, and performs the missing writes. `taken`: `Kind name` of objects with the names of the job's that are not its
 * own. A write that can never succeed ends the job. A temporary refusal is reported, and later actions wait for it,
 * except those that stop pods.
 */
export async function carryOut(ports: ReconcilePorts, input: PlanInput, taken: readonly string[]): Promise<Done> {
  const { job, outcome } = input;
  const created: string[] = [];
  const invalid = (message: string): Done => ({
    outcome: { phase: 'Failed', reason: 'InvalidSpec', message },
    created,
    blocked: null,
  });
  let blocked =
    taken.length > 0 ? nameTaken(taken) : (waitsForRedis(input.redis) ?? waitsForKueue(job, input.observed));
  let actions: readonly Action[];
  try {
    actions = plan(input);
  } catch (error) {
    if (!(error instanceof InvalidSpec) || outcome !== null) throw error;
    if (input.observed.serverJob === null) return invalid(error.message);
    // The job began under another operator or configuration: running work must not be lost.
    blocked ??= { reason: 'Refused', message: `The operator would not create this job now: ${error.message}` };
    actions = [...stops(input), ...workloadActions(input)];
  }
  for (const action of actions) {
    if (blocked !== null && !stopsPods(action)) continue;
    try {
      const result = await perform(ports, job, action);
      if (result === 'created') created.push(title(action));
      if (result === 'taken') blocked = nameTaken([title(action)]);
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal === null) throw error;
      if (refusal.isInvalid && action.kind === 'create' && outcome === null) return invalid(refusal.message);
      blocked ??= {
        reason: 'Refused',
        message: shortened(`The API server refuses ${title(action)}: ${refusal.message}`),
      };
    }
  }
  return { outcome, created, blocked };
}

/** Stops pods, or gives their quota back. */
const stopsPods = (action: Action): boolean =>
  ['delete', 'release', 'report'].includes(action.kind) || (action.kind === 'suspend' && action.suspend);

async function perform(
  ports: ReconcilePorts,
  job: JobObject,
  action: Action,
): Promise<'created' | 'changed' | 'taken'> {
  switch (action.kind) {
    case 'create': {
      if ((await ports.create(action.object)) === 'created') return 'created';
      // Created a moment ago and not in the caches yet, or somebody else's, which is never overwritten.
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
    case 'delete':
      await ports.deleteObject(action.object);
      return 'changed';
    case 'requeue':
      await ports.patchSpec(action.workload, action.spec);
      return 'changed';
    case 'release':
      await ports.patchStatusOf(action.workload, action.status);
      return 'changed';
    case 'report':
      await ports.applyConditions(action.workload, action.conditions);
      return 'changed';
    case 'grant':
      await ports.grantRedis(job, action.passwords);
      return 'changed';
  }
}

function title(action: Action): string {
  switch (action.kind) {
    case 'suspend':
      return `to ${action.suspend ? 'suspend' : 'resume'} Job ${action.job.name}`;
    case 'delete':
      return `to delete ${action.object.kind} ${action.object.name}`;
    case 'requeue':
    case 'release':
    case 'report':
      return `to change Workload ${action.workload.name}`;
    case 'grant':
      return "the job's users in Redis";
    default:
      return `${action.object.kind} ${action.object.metadata.name}`;
  }
}

function nameTaken(names: readonly string[]): Standing {
  const [exist, are, them] = names.length === 1 ? ['exists', 'is', 'it'] : ['exist', 'are', 'them'];
  return {
    reason: 'NameTaken',
    message: `${names.join(', ')} ${exist} already and ${are} not this job's; delete ${them}, or give the job another name.`,
  };
}
