import { isDeepStrictEqual } from 'node:util';
import type { Role } from '../../crds/facts/role.ts';
import { conditionOf } from './observed-object.ts';
import type { JobObject } from './job-object.ts';
import type { ObservedCondition, ObservedMetadata } from './observed-object.ts';

/** Kueue's labels: the LocalQueue that a job waits in, and its WorkloadPriorityClass. */
export const QUEUE_LABEL = 'kueue.x-k8s.io/queue-name';
export const PRIORITY_LABEL = 'kueue.x-k8s.io/priority-class';

/** The queue that the job asks for, if there is one. */
export const queueOf = (job: JobObject): string | undefined => job.metadata.labels?.[QUEUE_LABEL];

/** A class of priority, as a Workload refers to it. */
export interface PriorityClassReference {
  readonly group: string;
  readonly kind: string;
  readonly name: string;
}

/** The class whose priority the job asks for: Kueue's by its label, or that of its pods; null: none. */
export function priorityClassOf({ metadata, spec }: JobObject): PriorityClassReference | null {
  const name = metadata.labels?.[PRIORITY_LABEL];
  if (name !== undefined) return { group: 'kueue.x-k8s.io', kind: 'WorkloadPriorityClass', name };
  const ofPods = [spec.server, spec.client]
    .map(({ podTemplate, priorityClassName }) => podTemplate?.spec?.priorityClassName ?? priorityClassName)
    .find((each) => each !== undefined);
  return ofPods === undefined ? null : { group: 'scheduling.k8s.io', kind: 'PriorityClass', name: ofPods };
}

/** Pods that Kueue has admitted, of one pod set. */
export interface PodSetAssignment {
  readonly name: string;
  /** Names of flavors by resource. */
  readonly flavors?: Readonly<Record<string, string>>;
  /** Number of admitted pods. */
  readonly count?: number;
}

/** What nodes of a flavor, or an admission check, add to pods. */
export interface PodChanges {
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly nodeSelector?: Readonly<Record<string, string>>;
  readonly tolerations?: readonly object[];
}

export interface AdmissionCheckState {
  readonly name: string;
  /** Pending, Ready, Retry or Rejected. */
  readonly state: string;
  readonly message?: string;
  readonly podSetUpdates?: readonly (PodChanges & { readonly name: string })[];
}

/** The fields that the operator reads of Kueue's Workload: the request for quota of one job. */
export interface ObservedWorkload {
  readonly metadata: ObservedMetadata;
  readonly spec?: {
    readonly queueName?: string;
    readonly active?: boolean;
    readonly priorityClassRef?: PriorityClassReference;
  };
  readonly status?: {
    readonly conditions?: readonly ObservedCondition[];
    readonly admission?: { readonly clusterQueue: string; readonly podSetAssignments: readonly PodSetAssignment[] };
    readonly admissionChecks?: readonly AdmissionCheckState[];
  };
}

/** The objects of a job that decide whether Kueue lets pods start; null: there is none. */
interface QueuedObjects {
  readonly workload: ObservedWorkload | null;
  readonly serverJob: object | null;
  readonly clientsJob: object | null;
}

/** What the cluster's Kueue offers to a job. */
export interface ObservedKueue {
  /** Whether the API server serves Workloads. */
  readonly isServed: boolean;
  /** What the assigned flavors that exist add to pods, by name. They are read only if pods are to be created. */
  readonly flavors: ReadonlyMap<string, PodChanges>;
  /** The value of the class that the job asks for; null: not read, as nothing depends on it, or there is none. */
  readonly priority: number | null;
}

/** Whether pods may run under the Workload. */
export const isAdmitted = (workload: ObservedWorkload): boolean =>
  conditionOf(workload, 'Admitted') !== null &&
  conditionOf(workload, 'Evicted') === null &&
  conditionOf(workload, 'Finished') === null &&
  workload.metadata.deletionTimestamp === undefined;

/** What Kueue has assigned to the pods of a role. */
export const assignmentOf = ({ status }: ObservedWorkload, role: Role): PodSetAssignment | undefined =>
  status?.admission?.podSetAssignments.find(({ name }) => name === role);

/** What Kueue has assigned to pods that are to be created: those of an admitted job that lacks a Job. */
export const assignedToStart = ({ workload, serverJob, clientsJob }: QueuedObjects): readonly PodSetAssignment[] =>
  workload !== null && isAdmitted(workload) && (serverJob === null || clientsJob === null)
    ? (workload.status?.admission?.podSetAssignments ?? [])
    : [];

/** Whether the Workload takes quota. */
export const hasQuota = (workload: ObservedWorkload): boolean =>
  conditionOf(workload, 'QuotaReserved') !== null && conditionOf(workload, 'Finished') === null;

/** Whether the Workload has the priority that the job asks for. */
export const isSamePriority = (job: JobObject, { spec }: ObservedWorkload): boolean =>
  isDeepStrictEqual(spec?.priorityClassRef ?? null, priorityClassOf(job));

/** Whether Kueue lets the Workload have the priority that the job asks for: with quota, only another of its classes. */
export function mayChangePriority(job: JobObject, workload: ObservedWorkload): boolean {
  const [is, wanted] = [workload.spec?.priorityClassRef, priorityClassOf(job)];
  return !hasQuota(workload) || (is?.kind === 'WorkloadPriorityClass' && wanted?.kind === is.kind);
}
