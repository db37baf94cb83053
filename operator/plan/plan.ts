import type { JobObject } from '../objects/job-object.ts';
import type { Observed, ObservedJob, ObservedPod } from '../objects/observed.ts';
import { OWNED, OWNED_KEYS } from '../objects/owned-objects.ts';
import type { OwnedKey } from '../objects/owned-objects.ts';
import { RESOURCE } from '../objects/resources.ts';
import type { Outcome } from '../objects/outcome.ts';
import { deleteAction, suspendAction } from './action.ts';
import type { Action } from './action.ts';
import { BUILD } from './build.ts';
import type { BuildInput } from './build.ts';
import { covers } from './covers.ts';
import { isQueued, mayStart, mustWait } from './quota.ts';
import { hasEnded } from './worker-job.ts';
import { workloadActions } from './workload-actions.ts';
import type { WorkloadInput } from './workload-actions.ts';

export interface PlanInput extends BuildInput, WorkloadInput {
  /** Whether client pods still have time to leave by themselves after a success. */
  readonly clientsMayFinish: boolean;
  /** Pods whose worker has ended and is to be tried again, while others of their containers run on. */
  readonly toReplace: readonly ObservedPod[];
}

/**
 * The writes that let the job continue, or stop it; none if everything is as it should be.
 * @throws InvalidSpec when the job cannot be carried out as it is written.
 */
export function plan(input: PlanInput): Action[] {
  return input.outcome === null ? toRun(input) : toStop(input, input.outcome);
}

function toRun(input: PlanInput): Action[] {
  const { redis } = input;
  return [
    ...stops(input),
    ...workloadActions(input),
    ...OWNED_KEYS.flatMap((key) => [
      ...kept(input, key),
      // Users come before pods, which cannot connect without them.
      ...(key === 'credentials' && redis.kind === 'users' && redis.grant !== null
        ? [{ kind: 'grant' as const, passwords: redis.grant }]
        : []),
    ]),
  ];
}

/** Creates a missing object, and makes one that exists follow the spec as far as its kind allows. */
function kept(input: PlanInput, key: OwnedKey): Action[] {
  const { job, observed } = input;
  const existing = observed[key];
  if (existing === null && !mayCreate(key, job, observed)) return [];
  if (existing !== null) {
    // A Job's template cannot change: only its suspension follows the spec.
    if (OWNED[key].resource === RESOURCE.job) return isQueued(job, observed) ? [] : resumed(job, existing);
    if (key === 'workload') return [];
    // The storage provider owns the spec of a bound claim.
    if (OWNED[key].resource === RESOURCE.claim) return [];
  }
  const object = BUILD[key](input);
  return object === null || covers(existing, object) ? [] : [{ kind: existing === null ? 'create' : 'apply', object }];
}

function mayCreate(key: OwnedKey, job: JobObject, observed: Observed): boolean {
  if (OWNED[key].resource === RESOURCE.job) return mayStart(job, observed);
  // Quota is asked for once none is used.
  return key !== 'workload' || (!job.spec.suspend && observed.serverJob === null && observed.clientsJob === null);
}

/** Actions that remove pods of a job that has not ended. They are possible even when the rest of the plan is not. */
export function stops({ job, observed, toReplace }: Pick<PlanInput, 'job' | 'observed' | 'toReplace'>): Action[] {
  const { serverJob, clientsJob } = observed;
  const stopped = [serverJob, clientsJob].flatMap((existing): Action[] => {
    if (existing === null || existing.metadata.deletionTimestamp !== undefined) return [];
    // Kueue may admit the job on other nodes, or with fewer pods: its Jobs are created again.
    if (mustWait(job, observed)) return [deleteAction(RESOURCE.job, job, existing)];
    return job.spec.suspend && !hasEnded(existing) && existing.spec?.suspend !== true
      ? [suspendAction(job, existing, true)]
      : [];
  });
  return [...stopped, ...toReplace.map((pod) => deleteAction(RESOURCE.pod, job, pod))];
}

function resumed(job: JobObject, existing: ObservedJob): Action[] {
  if (!canChange(existing) || job.spec.suspend || existing.spec?.suspend !== true) return [];
  return [suspendAction(job, existing, false)];
}

const canChange = (existing: ObservedJob): boolean =>
  existing.metadata.deletionTimestamp === undefined && !hasEnded(existing);

/** Pods of a job that has ended go, and the Jobs stay for their record. */
function toStop(input: PlanInput, outcome: Outcome): Action[] {
  const { job, observed, clientsMayFinish } = input;
  const stopped = (existing: ObservedJob | null): Action[] =>
    existing === null || !canChange(existing) || existing.spec?.suspend === true
      ? []
      : [suspendAction(job, existing, true)];
  const clientsStay = outcome.phase === 'Succeeded' && clientsMayFinish;
  return [
    ...stopped(observed.serverJob),
    ...(clientsStay ? [] : stopped(observed.clientsJob)),
    ...workloadActions(input),
  ];
}
