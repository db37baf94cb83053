import type { JobObject } from '../objects/job-object.ts';
import type { RolePasswords } from '../objects/redis-standing.ts';
import type { ObjectReference, ObservedReference, PlannedObject } from '../objects/planned.ts';
import type { ObservedObject } from '../objects/observed-object.ts';
import { RESOURCE } from '../objects/resources.ts';
import type { Resource } from '../objects/resources.ts';
import type { WorkloadCondition } from './workload-status.ts';

/** One write. */
export type Action =
  | { readonly kind: 'create' | 'apply'; readonly object: PlannedObject }
  /** Users for the job's roles in the operator's Redis. */
  | { readonly kind: 'grant'; readonly passwords: RolePasswords }
  | { readonly kind: 'suspend'; readonly job: ObjectReference; readonly suspend: boolean }
  /** Pods of a Job go before it does. */
  | { readonly kind: 'delete'; readonly object: ObjectReference }
  /** Fields of the spec of a Workload; null removes one. */
  | { readonly kind: 'requeue'; readonly workload: ObjectReference; readonly spec: Readonly<Record<string, unknown>> }
  /** Gives the quota of a Workload back, if it has not changed since; null removes a field of its status. */
  | { readonly kind: 'release'; readonly workload: ObservedReference; readonly status: object }
  /** The conditions of a Workload that the job decides. */
  | { readonly kind: 'report'; readonly workload: ObjectReference; readonly conditions: readonly WorkloadCondition[] };

/** Identifies an object of the job. */
export const referenceTo = (resource: Resource, job: JobObject, { metadata }: ObservedObject): ObjectReference => ({
  apiVersion: resource.apiVersion,
  kind: resource.kind,
  name: metadata.name,
  namespace: job.metadata.namespace,
  ...(metadata.uid === undefined ? {} : { uid: metadata.uid }),
});

export const suspendAction = (job: JobObject, batchJob: ObservedObject, suspend: boolean): Action => ({
  kind: 'suspend',
  job: referenceTo(RESOURCE.job, job, batchJob),
  suspend,
});

export const deleteAction = (resource: Resource, job: JobObject, object: ObservedObject): Action => ({
  kind: 'delete',
  object: referenceTo(resource, job, object),
});
