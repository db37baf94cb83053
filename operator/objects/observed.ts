import type { Timestamp } from './job-object.ts';
import type { ObservedCondition, ObservedObject } from './observed-object.ts';
import type { OwnedKey } from './owned-objects.ts';
import type { ObservedKueue, ObservedWorkload } from './workload.ts';

/** A ConfigMap, or a Secret, whose values are base64. */
export interface ObservedData extends ObservedObject {
  readonly data?: Readonly<Record<string, string>>;
}

/** A batch/v1 Job. */
export interface ObservedJob extends ObservedObject {
  readonly spec?: { readonly suspend?: boolean; readonly parallelism?: number };
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

/** The last warning of Kubernetes about an object, from an Event. */
export interface ObservedWarning {
  /** CamelCase. */
  readonly reason: string;
  readonly message: string;
  readonly at: Timestamp;
}

/** An object that has the name of an owned object, with the fields that the operator reads of any kind. */
export type ObservedOwned = ObservedJob & ObservedData & ObservedWorkload;

/** The objects that exist for a job; null: there is no object of that name. */
export interface Observed extends Readonly<Record<OwnedKey, ObservedOwned | null>> {
  /** Pods of both roles: those with the job's label `fedbiot.io/job`. */
  readonly pods: readonly ObservedPod[];
  /**
   * Port in the URL of the job's own Redis (spec.redis.urlFrom); null: the job has none, or its Secret cannot be read.
   */
  readonly redisPort: number | null;
  readonly kueue: ObservedKueue;
  /**
   * Warnings by the uid of their object. They are read only if nothing else explains why pods are missing; absent: not
   * read.
   */
  readonly warnings?: ReadonlyMap<string, ObservedWarning>;
}
