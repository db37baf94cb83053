import type { FedBiOTJobStatus } from '../../crds/types.ts';
import { MANAGER } from '../objects/labels.ts';
import type { JobObject } from '../objects/job-object.ts';
import type { ObjectReference, ObservedReference, PlannedObject } from '../objects/planned.ts';
import type { ObservedCondition, ObservedObject } from '../objects/observed-object.ts';
import type { ReconcilePorts } from '../ports/reconcile-ports.ts';
import { MERGE_PATCH } from './api-client.ts';
import type { ApiClient } from './api-client.ts';
import { ApiError, CODE, isApiError } from './api-error.ts';
import { apply, APPLY_PATCH } from './apply.ts';
import type { Caches } from './caches.ts';
import { readMetadata } from './read-object.ts';
import { collectionPath, objectPath, RESOURCE, resourceOf } from '../objects/resources.ts';

/** The reconciler's writes, and its one read that bypasses the caches. The API server's answers update the caches. */
export function writes(
  client: ApiClient,
  caches: Caches,
): Pick<
  ReconcilePorts,
  | 'read'
  | 'create'
  | 'apply'
  | 'patchSpec'
  | 'patchStatusOf'
  | 'applyConditions'
  | 'deleteObject'
  | 'updateStatus'
  | 'patchStatus'
> {
  return {
    async read(reference: ObjectReference): Promise<ObservedObject | null> {
      try {
        const metadata = readMetadata(await client.json('GET', pathOf(reference)));
        if (metadata === null) throw new Error(`${reference.kind} ${reference.name}: the answer is not an object`);
        return { kind: reference.kind, metadata };
      } catch (error) {
        if (isApiError(error, CODE.notFound)) return null;
        throw error;
      }
    },

    async create(object: PlannedObject): Promise<'created' | 'exists'> {
      const resource = resourceOf(object);
      try {
        const answer = await client.json('POST', collectionPath(resource, object.metadata.namespace), {
          query: { fieldManager: MANAGER },
          body: object,
        });
        caches.of(resource)?.made(answer);
        return 'created';
      } catch (error) {
        if (isApiError(error, CODE.conflict) && error.status.reason === 'AlreadyExists') return 'exists';
        throw error;
      }
    },

    async apply(object: PlannedObject): Promise<void> {
      caches.of(resourceOf(object))?.wrote(await apply(client, object));
    },

    async patchSpec(reference: ObjectReference, spec: Readonly<Record<string, unknown>>): Promise<void> {
      const { uid } = reference;
      try {
        const answer = await client.json('PATCH', pathOf(reference), {
          query: { fieldManager: MANAGER },
          contentType: MERGE_PATCH,
          body: { ...(uid === undefined ? {} : { metadata: { uid } }), spec },
        });
        caches.of(resourceOf(reference))?.wrote(answer);
      } catch (error) {
        throw isOfAnotherUid(error)
          ? new ApiError(`${reference.kind} ${reference.name} was deleted and created again`, CODE.conflict, error.body)
          : error;
      }
    },

    async patchStatusOf(reference: ObservedReference, status: object): Promise<void> {
      const { uid, resourceVersion } = reference;
      const answer = await client.json('PATCH', `${pathOf(reference)}/status`, {
        query: { fieldManager: MANAGER },
        contentType: MERGE_PATCH,
        body: { metadata: { uid, resourceVersion }, status },
      });
      caches.of(resourceOf(reference))?.wrote(answer);
    },

    async applyConditions(reference: ObjectReference, conditions: readonly ObservedCondition[]): Promise<void> {
      const { apiVersion, kind, name, namespace, uid } = reference;
      const answer = await client.json('PATCH', `${pathOf(reference)}/status`, {
        query: { fieldManager: MANAGER, force: true },
        contentType: APPLY_PATCH,
        body: { apiVersion, kind, metadata: { name, namespace, uid }, status: { conditions } },
      });
      caches.of(resourceOf(reference))?.wrote(answer);
    },

    async deleteObject(reference: ObjectReference): Promise<void> {
      const { uid } = reference;
      try {
        await client.json('DELETE', pathOf(reference), {
          body: {
            apiVersion: 'v1',
            kind: 'DeleteOptions',
            // As long as the Job exists, its pods are known.
            propagationPolicy: reference.kind === RESOURCE.job.kind ? 'Foreground' : 'Background',
            ...(uid === undefined ? {} : { preconditions: { uid } }),
          },
        });
      } catch (error) {
        const isGone = isApiError(error, CODE.notFound) || (uid !== undefined && isApiError(error, CODE.conflict));
        if (!isGone) throw error;
      }
    },

    async updateStatus({ apiVersion, kind, metadata }: JobObject, status: FedBiOTJobStatus): Promise<void> {
      const { name, namespace, uid, resourceVersion } = metadata;
      const answer = await client.json('PUT', `${objectPath(RESOURCE.fedbiotJob, namespace, name)}/status`, {
        query: { fieldManager: MANAGER },
        // With the version that the status derives from: after a concurrent change the write fails, and is retried.
        body: { apiVersion, kind, metadata: { name, namespace, uid, resourceVersion }, status },
      });
      caches.jobs.wrote(answer);
    },

    async patchStatus({ name, namespace, uid, resourceVersion }, status): Promise<void> {
      const answer = await client.json('PATCH', `${objectPath(RESOURCE.fedbiotJob, namespace, name)}/status`, {
        query: { fieldManager: MANAGER },
        contentType: MERGE_PATCH,
        body: { metadata: { uid, resourceVersion }, status },
      });
      caches.jobs.wrote(answer);
    },
  };
}

const pathOf = (reference: ObjectReference): string =>
  objectPath(resourceOf(reference), reference.namespace, reference.name);

/**
 * The object was created again under its name: the API server calls a patch with the old uid invalid, which must not
 * fail the job.
 */
const isOfAnotherUid = (error: unknown): error is ApiError =>
  isApiError(error, CODE.invalid) &&
  (error.status.details?.causes?.some(({ field }) => field === 'metadata.uid') ?? false);
