import type { JobObject } from '../objects/job-object.ts';
import type { PlannedObject } from '../objects/planned.ts';
import { namesOf } from '../objects/names.ts';
import { metadataOf } from './owned.ts';

/** The claim for checkpoints, report and adapter; null when the job brings a volume for them. */
export function outputClaim(job: JobObject): PlannedObject | null {
  const output = job.spec.volumes?.output;
  if (output?.persistentVolumeClaim !== undefined || output?.hostPath !== undefined) return null;
  const storageClassName = output?.claim?.storageClassName;
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: metadataOf(job, namesOf(job.metadata.name).output, 'server'),
    spec: {
      accessModes: ['ReadWriteOnce'],
      ...(storageClassName === undefined ? {} : { storageClassName }),
      resources: { requests: { storage: output?.claim?.size ?? DEFAULT_SIZE } },
    },
  };
}

/** As the schema's default, for jobs that name no output volume at all. */
const DEFAULT_SIZE = '10Gi';
