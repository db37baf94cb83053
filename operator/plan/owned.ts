import type { JobObject, OwnerReference } from '../objects/job-object.ts';
import type { PlannedMetadata } from '../objects/planned.ts';
import { labelsOf } from '../objects/labels.ts';
import type { Role } from '../../crds/facts/role.ts';

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

/** Metadata of an object made for a job. */
export function metadataOf(job: JobObject, name: string, role?: Role): PlannedMetadata {
  return {
    name,
    namespace: job.metadata.namespace,
    labels: labelsOf(job.metadata.name, role),
    ownerReferences: [ownerOf(job)],
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
