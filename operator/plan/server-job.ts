import type { JobObject } from '../objects/job-object.ts';
import type { PlannedObject } from '../objects/planned.ts';
import { namesOf } from '../objects/names.ts';
import type { PlanSettings } from './settings.ts';
import { workerJob } from './worker-job.ts';

/** One server pod at a time, until one has finished the job. */
export const serverJob = (job: JobObject, settings: PlanSettings): PlannedObject =>
  workerJob(job, 'server', namesOf(job.metadata.name).server, settings, { completions: 1, parallelism: 1 });
