import { MUTABLE } from '../../crds/schema/lifecycle.ts';
import { JOB_FILE } from '../../worker/cluster/pod.ts';
import { dayOf } from '../../crds/day.ts';
import type { JobObject } from '../objects/job-object.ts';
import type { ObservedData } from '../objects/observed.ts';
import type { PlannedObject } from '../objects/planned.ts';
import { headerOf } from './owned.ts';

/**
 * The manifest that both roles run, frozen: pods of one job must not differ in what they do, whatever happens to the
 * defaults of a later operator. What may change while the job runs is left out; it is not the pods' business.
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
  // Chat templates can ask for the day: the pods of a job, and those that replace them later, have one.
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
