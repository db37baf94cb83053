import type { JobObject } from '../objects/job-object.ts';
import type { PlannedObject } from '../objects/planned.ts';
import { headerOf } from './owned.ts';

/** The claim for checkpoints, report and adapter; null when the job brings a volume for them. */
export function outputClaim(job: JobObject): PlannedObject | null {
  const output = job.spec.volumes?.output;
  if (output?.persistentVolumeClaim !== undefined || output?.hostPath !== undefined) return null;
  const storageClassName = output?.claim?.storageClassName;
  return {
    ...headerOf(job, 'outputClaim'),
    spec: {
      accessModes: ['ReadWriteOnce'],
      ...(storageClassName === undefined ? {} : { storageClassName }),
      resources: { requests: { storage: output?.claim?.size ?? DEFAULT_SIZE } },
    },
  };
}

/** As the schema's default, for jobs that name no output volume at all. */
const DEFAULT_SIZE = '10Gi';
