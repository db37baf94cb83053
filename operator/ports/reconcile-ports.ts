import type { FedBiOTJobStatus } from '../../crds/types.ts';
import type { JobProgress } from '../../crds/facts/progress.ts';
import type { JobObject, UnreadableJob } from '../objects/job-object.ts';
import type { PlannedObject, ObjectReference } from '../objects/planned.ts';
import type { ObservedObject, ObservedWarning, Observed } from '../objects/observed.ts';
import type { EventSubject, EventRecord } from '../objects/event.ts';
import type { RolePasswords, RedisUsersStanding } from '../objects/redis-standing.ts';

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
