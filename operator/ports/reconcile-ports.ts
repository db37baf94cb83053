import type { FedBiOTJobStatus } from '../../crds/types.ts';
import type { JobProgress } from '../../crds/facts/progress.ts';
import type { JobObject, UnreadableJob } from '../objects/job-object.ts';
import type { PlannedObject, ObjectReference, ObservedReference } from '../objects/planned.ts';
import type { ObservedWarning, Observed } from '../objects/observed.ts';
import type { ObservedCondition, ObservedObject } from '../objects/observed-object.ts';
import type { EventSubject, EventRecord } from '../objects/event.ts';
import type { RolePasswords, RedisUsersStanding } from '../objects/redis-standing.ts';

/**
 * If the API server refuses a request, the promise must reject with an Error whose `code` is the HTTP status and whose
 * `body` is the Status (an object or its JSON), like the errors of @kubernetes/client-node. Such a refusal is reported
 * in the job's status; any other rejection is retried.
 */
export interface ReconcilePorts {
  /** The job in the cache; null: it does not exist, or cannot be read. */
  getJob(namespace: string, name: string): JobObject | null;
  /** The job that `getJob` does not return because it cannot be read; null: there is no such job. */
  unreadableJob(namespace: string, name: string): UnreadableJob | null;
  /**
   * The job's objects and pods. They may come from a cache: the API server refuses writes that are based on a stale
   * view.
   */
  observe(job: JobObject): Promise<Observed>;
  /** The current state of an object, read from the API server; null: it does not exist. */
  read(reference: ObjectReference): Promise<ObservedObject | null>;
  /**
   * The last Event of type Warning about the object, which must have a uid; null: there is none, or events cannot be
   * read.
   */
  lastWarning(reference: ObjectReference): Promise<ObservedWarning | null>;
  /** Creates an object. If one of that name exists, returns `exists` and does not change it. */
  create(object: PlannedObject): Promise<'created' | 'exists'>;
  /** Applies an object of the job that exists, by server-side apply with the operator's field manager. */
  apply(object: PlannedObject): Promise<void>;
  /** JSON merge patch of `spec`. */
  patchSpec(reference: ObjectReference, spec: Readonly<Record<string, unknown>>): Promise<void>;
  /** JSON merge patch of the status of one of the job's objects. Applies only to its resource version. */
  patchStatusOf(reference: ObservedReference, status: object): Promise<void>;
  /** Applies conditions to one of the job's objects, by server-side apply with the operator's field manager. */
  applyConditions(reference: ObjectReference, conditions: readonly ObservedCondition[]): Promise<void>;
  /**
   * Deletes an object, and then what belongs to it; the pods of a batch Job go before it. An object that no longer
   * exists is not an error.
   */
  deleteObject(reference: ObjectReference): Promise<void>;
  /** Replaces the job's status through the status subresource. */
  updateStatus(job: JobObject, status: FedBiOTJobStatus): Promise<void>;
  /**
   * JSON merge patch of the status, for a job whose other fields cannot be read. Applies only to this resource version.
   */
  patchStatus(metadata: JobObject['metadata'], status: FedBiOTJobStatus): Promise<void>;
  recordEvent(job: EventSubject, event: EventRecord): void;
  /** The last progress that the job's server pod reported; null: none yet. */
  progressOf(uid: string): JobProgress | null;
  /** Whether users can be created in the operator's Redis. Not called if the operator has no Redis. */
  redisUsers(): RedisUsersStanding;
  /** Creates the users of a job's roles in the operator's Redis, or sets them again. Rejects if Redis refuses. */
  grantRedis(job: JobObject, passwords: RolePasswords): Promise<void>;
  /** Milliseconds since 1970. */
  now(): number;
}
