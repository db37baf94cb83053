import type { JobObject } from '../objects/job-object.ts';
import type { ObjectReference, PlannedObject } from '../objects/planned.ts';
import type { Observed, ObservedJob, ObservedObject, ObservedPod } from '../objects/observed.ts';
import type { RolePasswords } from '../objects/redis-standing.ts';
import type { Outcome } from '../objects/outcome.ts';
import { clientsJob } from './clients-job.ts';
import { configMap } from './config-map.ts';
import { covers } from './covers.ts';
import { credentials } from './credentials.ts';
import { queueOf } from '../objects/labels.ts';
import { hasEnded } from './has-ended.ts';
import { networkPolicies } from './network-policies.ts';
import { outputClaim } from './output-claim.ts';
import type { RedisAccess } from './redis-access.ts';
import { serverJob } from './server-job.ts';
import { service } from './service.ts';
import type { PlanSettings } from './settings.ts';

/** One write to the API server. */
export type Action =
  | { readonly kind: 'create' | 'apply'; readonly object: PlannedObject }
  /** Users for the job's roles in the operator's Redis. */
  | { readonly kind: 'grant'; readonly passwords: RolePasswords }
  | { readonly kind: 'suspend'; readonly job: ObjectReference; readonly suspend: boolean }
  | { readonly kind: 'delete'; readonly pod: ObjectReference };

export interface PlanInput {
  readonly job: JobObject;
  readonly observed: Observed;
  readonly settings: PlanSettings;
  readonly redis: RedisAccess;
  /** How the job has ended; null: it has not. */
  readonly outcome: Outcome | null;
  /** Whether client pods still have time to leave by themselves after a success. */
  readonly clientsMayFinish: boolean;
  /** Pods whose worker has ended and is to be tried again, while others of their containers run on. */
  readonly toReplace: readonly ObservedPod[];
}

/**
 * What to write so that the job goes on, or stops; nothing where all is as it should be.
 * @throws InvalidSpec when the job cannot be carried out as it is written.
 */
export function plan(input: PlanInput): Action[] {
  return input.outcome === null ? toRun(input) : toStop(input, input.outcome);
}

/** Every object that a job needs, as it is when it is made. */
export function plannedObjects(input: Omit<PlanInput, 'outcome' | 'clientsMayFinish' | 'toReplace'>) {
  const { job, settings } = input;
  return { ...surroundings(input), serverJob: serverJob(job, settings), clientsJob: clientsJob(job, settings) };
}

/** The objects that pods need besides their Jobs. */
function surroundings({ job, observed, settings, redis }: Pick<PlanInput, 'job' | 'observed' | 'settings' | 'redis'>) {
  const [serverPolicy, clientsPolicy] = networkPolicies(job, settings, observed.redisPort);
  return {
    // Policies first: no pod runs outside its walls.
    serverPolicy,
    clientsPolicy,
    configMap: configMap(job, observed.configMap),
    credentials: credentials(job, observed.credentials, settings, redis),
    service: service(job),
    outputClaim: outputClaim(job),
  };
}

function toRun(input: PlanInput): Action[] {
  const { job, observed, settings, redis } = input;
  const planned = surroundings(input);
  const kept = (existing: ObservedObject | null, object: PlannedObject | null | undefined): Action[] =>
    object === null || object === undefined || covers(existing, object)
      ? []
      : [{ kind: existing === null ? 'create' : 'apply', object }];
  return [
    ...stops(input),
    ...kept(observed.serverPolicy, planned.serverPolicy),
    ...kept(observed.clientsPolicy, planned.clientsPolicy),
    ...kept(observed.configMap, planned.configMap),
    ...kept(observed.credentials, planned.credentials),
    // Users before pods, which cannot connect without them.
    ...(redis.kind === 'users' && redis.grant !== null ? [{ kind: 'grant' as const, passwords: redis.grant }] : []),
    ...kept(observed.service, planned.service),
    // A claim's spec is the storage's once it is bound.
    ...(observed.outputClaim === null ? kept(null, planned.outputClaim) : []),
    // A Job's template is for life: of one that exists, only whether it is suspended follows the spec.
    ...(observed.serverJob === null ? kept(null, serverJob(job, settings)) : resumed(job, observed.serverJob)),
    ...(observed.clientsJob === null ? kept(null, clientsJob(job, settings)) : resumed(job, observed.clientsJob)),
  ];
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
