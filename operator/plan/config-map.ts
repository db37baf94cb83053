import { MUTABLE } from '../../crds/schema/lifecycle.ts';
import { JOB_FILE } from '../../worker/cluster/pod.ts';
import { dayOf } from '../../crds/day.ts';
import type { JobObject } from '../objects/job-object.ts';
import type { ObservedData } from '../objects/observed.ts';
import type { PlannedObject } from '../objects/planned.ts';
import { headerOf } from './owned.ts';

/**
 * The manifest that both roles run. It never changes, so that all pods of a job behave alike even if a later operator
 * has other defaults. Fields that can change while the job runs are left out, as pods do not use them.
 */
export function configMap(job: JobObject, observed: ObservedData | null): PlannedObject {
  const frozen = observed?.data?.[JOB_FILE];
  return {
    ...headerOf(job, 'configMap'),
    immutable: true,
    data: { [JOB_FILE]: frozen ?? manifestText(job) },
  };
}

function manifestText({ apiVersion, kind, metadata, spec }: JobObject): string {
  const { creationTimestamp } = metadata;
  // Chat templates can ask for the date. All pods of a job use the same one, including later replacements.
  const dated =
    creationTimestamp === undefined
      ? spec
      : { ...spec, data: { date: dayOf(new Date(creationTimestamp)), ...spec.data } };
  const frozen = Object.fromEntries(Object.entries(dated).filter(([field]) => !MUTABLE.includes(field)));
  return JSON.stringify({
    apiVersion,
    kind,
    metadata: { name: metadata.name, namespace: metadata.namespace },
    spec: frozen,
  });
}
