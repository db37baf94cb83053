import type { FedBiOTJobSpec, FedBiOTJobStatus } from '../../crds/types.ts';
import type { Role } from '../../crds/facts/role.ts';
import type { JobProgress } from '../../crds/facts/progress.ts';

/** Everything the reconciler asks of the world, and the parts of Kubernetes objects that it reads. */

/** RFC 3339. */
export type Timestamp = string;

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

/** A FedBiOTJob as the API server stores it, checked, with every default. */
export interface JobObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly generation?: number;
    readonly resourceVersion?: string;
    readonly creationTimestamp?: Timestamp;
    readonly deletionTimestamp?: Timestamp;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly spec: FedBiOTJobSpec;
  readonly status?: FedBiOTJobStatus;
}

/** A FedBiOTJob that cannot be read, or breaks the rules: nothing is done for it, and its status says so. */
export interface UnreadableJob {
  readonly metadata: JobObject['metadata'];
  readonly problem: string;
  /** Whether the operator manages it (spec.managedBy). */
  readonly isOurs: boolean;
  /** What of its status is needed to write into it. */
  readonly status: Pick<FedBiOTJobStatus, 'phase' | 'conditions'>;
}

export interface PlannedMetadata {
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ownerReferences: readonly OwnerReference[];
}

/** An object to apply: only the fields that the operator has a say in. */
export interface PlannedObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: PlannedMetadata;
  readonly spec?: object;
  readonly data?: Readonly<Record<string, string>>;
  readonly type?: string;
  readonly immutable?: boolean;
}

export interface ObservedMetadata {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly creationTimestamp?: Timestamp;
  readonly deletionTimestamp?: Timestamp;
  readonly labels?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
}

/** An object that exists, of whatever kind. */
export interface ObservedObject {
  readonly kind?: string;
  readonly metadata: ObservedMetadata;
}

export interface ObservedConfigMap extends ObservedObject {
  readonly data?: Readonly<Record<string, string>>;
}

/** `data` is base64. */
export interface ObservedSecret extends ObservedObject {
  readonly data?: Readonly<Record<string, string>>;
}

export interface ObservedCondition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: Timestamp;
}

/** A batch/v1 Job. */
export interface ObservedJob extends ObservedObject {
  readonly spec?: { readonly suspend?: boolean };
  readonly status?: {
    readonly active?: number;
    readonly ready?: number;
    readonly failed?: number;
    readonly succeeded?: number;
    readonly startTime?: Timestamp;
    readonly conditions?: readonly ObservedCondition[];
  };
}

export interface ObservedContainerStatus {
  readonly name: string;
  readonly state?: {
    readonly waiting?: { readonly reason?: string; readonly message?: string };
    readonly running?: { readonly startedAt?: Timestamp };
    readonly terminated?: {
      readonly exitCode: number;
      readonly reason?: string;
      readonly message?: string;
      readonly finishedAt?: Timestamp;
    };
  };
}

export interface ObservedPod extends ObservedObject {
  readonly spec?: { readonly nodeName?: string };
  readonly status?: {
    readonly phase?: string;
    readonly reason?: string;
    readonly message?: string;
    readonly conditions?: readonly ObservedCondition[];
    readonly containerStatuses?: readonly ObservedContainerStatus[];
    readonly initContainerStatuses?: readonly ObservedContainerStatus[];
  };
}

/** What Kubernetes last warned of about an object, by an Event. */
export interface ObservedWarning {
  /** CamelCase. */
  readonly reason: string;
  readonly message: string;
  readonly at: Timestamp;
}

/** What exists of a job; null: nothing of that name. */
export interface Observed {
  readonly configMap: ObservedConfigMap | null;
  readonly credentials: ObservedSecret | null;
  readonly serverJob: ObservedJob | null;
  readonly clientsJob: ObservedJob | null;
  readonly service: ObservedObject | null;
  readonly outputClaim: ObservedObject | null;
  readonly serverPolicy: ObservedObject | null;
  readonly clientsPolicy: ObservedObject | null;
  /** With the job's label `fedbiot.io/job`, of either role. */
  readonly pods: readonly ObservedPod[];
  /**
   * Port in the URL of the job's own Redis (spec.redis.urlFrom); null: the job has none, or its Secret cannot be read.
   */
  readonly redisPort: number | null;
  /**
   * By the uid of the object that it is about. Asked for where nothing else explains why pods are missing; absent: not
   * asked for.
   */
  readonly warnings?: ReadonlyMap<string, ObservedWarning>;
}

/** Names an object in a namespace. */
export interface ObjectReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace: string;
  /** The object is left alone when it has another uid. */
  readonly uid?: string;
}

/** What an event is about. */
export type EventSubject = Pick<JobObject, 'metadata'>;

/** Passwords of the users that a job's roles have in the operator's Redis. */
export type RolePasswords = Readonly<Record<Role, string>>;

/** Whether the operator's Redis lets it create users for jobs. `reason`: why not, in Redis's words. */
export type RedisUsersStanding =
  /**
   * `readOnlyKeys`: Redis supports read-only keys. `isOpen`: its default user needs no password, so that users protect
   * nothing.
   */
  | { readonly kind: 'ready'; readonly readOnlyKeys: boolean; readonly isOpen: boolean }
  | { readonly kind: 'refused' | 'away'; readonly reason: string };

export interface EventRecord {
  readonly type: 'Normal' | 'Warning';
  /** CamelCase, as in conditions. */
  readonly reason: string;
  readonly message: string;
}

/**
 * What the API server refuses must reject with an Error whose `code` is the HTTP status and whose `body` is its Status
 * (an object or its JSON), as the errors of @kubernetes/client-node do: it is told in the job's status, where any other
 * rejection is tried again.
 */
export interface ReconcilePorts {
  /** The job as the watch last told it; null: it is gone. */
  getJob(namespace: string, name: string): JobObject | null;
  /** The job where `getJob` has none because it cannot be read; null: there is no such job. */
  unreadableJob(namespace: string, name: string): UnreadableJob | null;
  /** The job's objects and pods. May read from caches: the API server refuses what a stale view gets wrong. */
  observe(job: JobObject): Promise<Observed>;
  /** One object as it is now, past all caches; null: there is none. */
  read(reference: ObjectReference): Promise<ObservedObject | null>;
  /** The last Event of type Warning about an object that has a uid; null: there is none, or events cannot be read. */
  lastWarning(reference: ObjectReference): Promise<ObservedWarning | null>;
  /** Makes an object; tells `exists` where one of that name stands, which stays as it is. */
  create(object: PlannedObject): Promise<'created' | 'exists'>;
  /** Server-side apply with the operator's field manager, of an object that exists and is the job's. */
  apply(object: PlannedObject): Promise<void>;
  /** JSON merge patch of `spec`. */
  patchSpec(reference: ObjectReference, spec: Readonly<Record<string, unknown>>): Promise<void>;
  /** Deletes with background propagation; an object that is gone already is no error. */
  deleteObject(reference: ObjectReference): Promise<void>;
  /** Replaces the job's status through the status subresource. */
  updateStatus(job: JobObject, status: FedBiOTJobStatus): Promise<void>;
  /** JSON merge patch of the status, where the rest of the job is not known; of this very version. */
  patchStatus(metadata: JobObject['metadata'], status: FedBiOTJobStatus): Promise<void>;
  recordEvent(job: EventSubject, event: EventRecord): void;
  /** What the job's server pod last told; null: nothing yet. */
  progressOf(uid: string): JobProgress | null;
  /** Whether users can be created in the operator's Redis; not called if the operator has none. */
  redisUsers(): RedisUsersStanding;
  /** Creates the users of a job's roles in the operator's Redis, or sets them again. Rejects when Redis refuses. */
  grantRedis(job: JobObject, passwords: RolePasswords): Promise<void>;
  /** Milliseconds since 1970. */
  now(): number;
}
