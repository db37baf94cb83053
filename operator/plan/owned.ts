import type { JobObject, OwnerReference } from '../objects/job-object.ts';
import { labelsOf } from '../objects/labels.ts';
import { OWNED } from '../objects/owned-objects.ts';
import type { OwnedKey, OwnedObject } from '../objects/owned-objects.ts';
import type { PlannedObject } from '../objects/planned.ts';

/** Makes an object the job's: it goes when the job goes, and the job waits for it. */
function ownerOf(job: JobObject): OwnerReference {
  return {
    apiVersion: job.apiVersion,
    kind: job.kind,
    name: job.metadata.name,
    uid: job.metadata.uid,
    controller: true,
    blockOwnerDeletion: true,
  };
}

/** Kind and metadata of one of the job's objects. */
export function headerOf(job: JobObject, key: OwnedKey): Pick<PlannedObject, 'apiVersion' | 'kind' | 'metadata'> {
  const { resource, role, name }: OwnedObject = OWNED[key];
  return {
    apiVersion: resource.apiVersion,
    kind: resource.kind,
    metadata: {
      name: name(job.metadata.name),
      namespace: job.metadata.namespace,
      labels: labelsOf(job.metadata.name, role),
      ownerReferences: [ownerOf(job)],
    },
  };
}

/**
 * Whether an object that has a name the job needs was made for this very job, and not for another or for one that had
 * its name before.
 */
export const isOwned = (
  job: JobObject,
  object: { readonly metadata: { readonly ownerReferences?: readonly OwnerReference[] } },
): boolean =>
  object.metadata.ownerReferences?.some(({ uid, controller }) => controller === true && uid === job.metadata.uid) ??
  false;
