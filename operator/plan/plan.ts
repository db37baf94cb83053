import type { JobObject } from '../objects/job-object.ts';
import type { ObjectReference, PlannedObject } from '../objects/planned.ts';
import type { ObservedJob, ObservedPod } from '../objects/observed.ts';
import { OWNED, OWNED_KEYS } from '../objects/owned-objects.ts';
import type { OwnedKey } from '../objects/owned-objects.ts';
import { RESOURCE } from '../objects/resources.ts';
import type { RolePasswords } from '../objects/redis-standing.ts';
import type { Outcome } from '../objects/outcome.ts';
import { BUILD } from './build.ts';
import type { BuildInput } from './build.ts';
import { covers } from './covers.ts';
import { queueOf } from '../objects/labels.ts';
import { hasEnded } from './worker-job.ts';

/** One write to the API server. */
export type Action =
  | { readonly kind: 'create' | 'apply'; readonly object: PlannedObject }
  /** Users for the job's roles in the operator's Redis. */
  | { readonly kind: 'grant'; readonly passwords: RolePasswords }
  | { readonly kind: 'suspend'; readonly job: ObjectReference; readonly suspend: boolean }
  | { readonly kind: 'delete'; readonly pod: ObjectReference };

export interface PlanInput extends BuildInput {
  /** How the job has ended; null: it has not. */
  readonly outcome: Outcome | null;
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
  const existing = input.observed[key];
  if (existing !== null) {
    // A Job's template cannot change: only its suspension follows the spec.
    if (OWNED[key].resource === RESOURCE.job) return resumed(input.job, existing);
    // The storage provider owns the spec of a bound claim.
    if (OWNED[key].resource === RESOURCE.claim) return [];
  }
  const object = BUILD[key](input);
  return object === null || covers(existing, object) ? [] : [{ kind: existing === null ? 'create' : 'apply', object }];
}

/** Actions that remove pods of a job that has not ended. They are possible even when the rest of the plan is not. */
export function stops({ job, observed, toReplace }: Pick<PlanInput, 'job' | 'observed' | 'toReplace'>): Action[] {
  const suspended = [observed.serverJob, observed.clientsJob].flatMap((existing) =>
    existing !== null && job.spec.suspend && canChange(existing) && existing.spec?.suspend !== true
      ? [suspendAction(job, existing, true)]
      : [],
  );
  return [...suspended, ...toReplace.map((pod) => deleteAction(job, pod))];
}

function resumed(job: JobObject, existing: ObservedJob): Action[] {
  if (!canChange(existing) || job.spec.suspend || existing.spec?.suspend !== true) return [];
  // With a queue, what is suspended and was not by us waits for the queue to admit it.
  if (queueOf(job) !== undefined && job.status?.phase !== 'Suspended') return [];
  return [suspendAction(job, existing, false)];
}

const canChange = (existing: ObservedJob): boolean =>
  existing.metadata.deletionTimestamp === undefined && !hasEnded(existing);

/** Pods of a job that has ended go, and the Jobs stay for their record. */
function toStop({ job, observed, clientsMayFinish }: PlanInput, outcome: Outcome): Action[] {
  const stopped = (existing: ObservedJob | null): Action[] =>
    existing === null || !canChange(existing) || existing.spec?.suspend === true
      ? []
      : [suspendAction(job, existing, true)];
  const clientsStay = outcome.phase === 'Succeeded' && clientsMayFinish;
  return [...stopped(observed.serverJob), ...(clientsStay ? [] : stopped(observed.clientsJob))];
}

function suspendAction(job: JobObject, { metadata }: ObservedJob, suspend: boolean): Action {
  const { name, uid } = metadata;
  return {
    kind: 'suspend',
    job: {
      apiVersion: 'batch/v1',
      kind: 'Job',
      name,
      namespace: job.metadata.namespace,
      ...(uid === undefined ? {} : { uid }),
    },
    suspend,
  };
}

/** The Job controller counts a pod that is deleted by how its worker ended, as any other. */
function deleteAction(job: JobObject, { metadata }: ObservedPod): Action {
  const { name, uid } = metadata;
  return {
    kind: 'delete',
    pod: {
      apiVersion: 'v1',
      kind: 'Pod',
      name,
      namespace: job.metadata.namespace,
      ...(uid === undefined ? {} : { uid }),
    },
  };
}
