import type { JobObject } from '../objects/job-object.ts';
import type { PlannedObject } from '../objects/planned.ts';
import { headerOf } from './owned.ts';

/** The claim for checkpoints, report and adapter; null: the job names an existing volume. */
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

/** The default in the schema, for jobs without an output volume. */
const DEFAULT_SIZE = '10Gi';
