import type { JobObject } from '../../operator/objects/job-object.ts';
import { jobObject } from './planned-job.ts';
import { ReconcileWorld } from './reconcile-world.ts';

/** A job whose objects exist. */
export async function startedJob(spec: object = {}): Promise<ReconcileWorld> {
  const world = new ReconcileWorld(jobObject(spec));
  await world.turn();
  return world;
}

export const withSpec = (world: ReconcileWorld, spec: object): void => {
  const { job } = world;
  if (job !== null) world.job = { ...job, spec: { ...job.spec, ...spec } } satisfies JobObject;
};
