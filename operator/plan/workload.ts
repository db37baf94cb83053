import type { JobObject } from '../objects/job-object.ts';
import type { Observed } from '../objects/observed.ts';
import type { PlannedObject } from '../objects/planned.ts';
import { priorityClassOf, queueOf } from '../objects/workload.ts';
import { headerOf } from './owned.ts';
import { podTemplate } from './pod.ts';
import type { PlanSettings } from './settings.ts';

/**
 * The job's request for quota in its queue: both roles, admitted together or not at all. Kueue may admit fewer client
 * pods, down to client.minPods. null: the job is in no queue.
 */
export function workload(job: JobObject, settings: PlanSettings, { kueue }: Observed): PlannedObject | null {
  const queueName = queueOf(job);
  if (queueName === undefined) return null;
  const { pods, minPods } = job.spec.client;
  return {
    ...headerOf(job, 'workload'),
    spec: {
      queueName,
      ...priorityOf(job, kueue),
      podSets: [
        { name: 'server', count: 1, template: podTemplate(job, 'server', settings) },
        {
          name: 'client',
          count: pods,
          ...(minPods === undefined || minPods === pods ? {} : { minCount: minPods }),
          template: podTemplate(job, 'client', settings),
        },
      ],
    },
  };
}

/** The fields of a Workload's spec about its priority; none if the class is missing. */
function priorityOf(job: JobObject, { priority }: Observed['kueue']): object {
  const priorityClassRef = priorityClassOf(job);
  return priorityClassRef === null || priority === null ? {} : { priorityClassRef, priority };
}
