import type { JobObject } from '../objects/job-object.ts';
import type { PlannedObject } from '../objects/planned.ts';
import { namesOf } from '../objects/names.ts';
import type { PlanSettings } from './settings.ts';
import { workerJob } from './worker-job.ts';

/**
 * Pods that share the simulated clients' tasks. Without `completions`: they leave once the server says that the job is
 * over.
 */
export const clientsJob = (job: JobObject, settings: PlanSettings): PlannedObject =>
  workerJob(job, 'client', namesOf(job.metadata.name).clients, settings, { parallelism: job.spec.client.pods });
