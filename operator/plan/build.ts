import type { JobObject } from '../objects/job-object.ts';
import type { Observed } from '../objects/observed.ts';
import { eachOwned } from '../objects/owned-objects.ts';
import type { OwnedKey } from '../objects/owned-objects.ts';
import type { PlannedObject } from '../objects/planned.ts';
import { configMap } from './config-map.ts';
import { credentials } from './credentials.ts';
import { clientsPolicy, serverPolicy } from './network-policies.ts';
import { outputClaim } from './output-claim.ts';
import { podSetOf } from './pod-set.ts';
import type { RedisAccess } from './redis-access.ts';
import { service } from './service.ts';
import type { PlanSettings } from './settings.ts';
import { clientsJob, serverJob } from './worker-job.ts';
import { workload } from './workload.ts';

export interface BuildInput {
  readonly job: JobObject;
  readonly observed: Observed;
  readonly settings: PlanSettings;
  readonly redis: RedisAccess;
}

/** How each of a job's objects is built; null: the job does not need it. */
export const BUILD: Readonly<Record<OwnedKey, (input: BuildInput) => PlannedObject | null>> = {
  serverPolicy: ({ job, settings, observed }) => serverPolicy(job, settings, observed.redisPort),
  clientsPolicy: ({ job, settings, observed }) => clientsPolicy(job, settings, observed.redisPort),
  configMap: ({ job, observed }) => configMap(job, observed.configMap),
  credentials: ({ job, observed, settings, redis }) => credentials(job, observed.credentials, settings, redis),
  service: ({ job }) => service(job),
  outputClaim: ({ job }) => outputClaim(job),
  workload: ({ job, settings, observed }) => workload(job, settings, observed),
  serverJob: ({ job, settings, observed }) => serverJob(job, settings, podSetOf(observed, 'server')),
  clientsJob: ({ job, settings, observed }) => clientsJob(job, settings, podSetOf(observed, 'client')),
};

/**
 * All objects of a job, as they are created.
 * @throws InvalidSpec when the spec cannot be carried out
 */
export const plannedObjects = (input: BuildInput): Record<OwnedKey, PlannedObject | null> =>
  eachOwned((key) => BUILD[key](input));
