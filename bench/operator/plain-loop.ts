import { join } from 'node:path';
import { jobReader } from '../../operator/kube/read-job.ts';
import { resourceOf } from '../../operator/objects/resources.ts';
import { createLog } from '../../operator/process/log.ts';
import { plannedObjects } from '../../operator/plan/build.ts';
import { accessOf, NOTHING, SETTINGS } from '../../test/support/planned-job.ts';
import { inParallel } from './parallel.ts';
import { NAMESPACE, startQuietLab } from './quiet-lab.ts';
import type { Scope } from './scope.ts';

/**
 * Measures the API server's limit: the seconds that a loop over `connections` connections needs to create the jobs and,
 * for each, the objects that the operator would create.
 */
export async function measurePlainLoop(
  scope: Scope,
  folder: string,
  jobs: number,
  connections: number,
): Promise<number> {
  // The audit log is not read, but gives the API server the same load.
  const lab = await startQuietLab(scope, join(folder, `audit-${connections}.log`));
  const read = jobReader(() => null, createLog('error'));
  const began = performance.now();
  await inParallel(jobs, connections, async (index) => {
    const job = read(await lab.createJob(NAMESPACE, `job-${index}`))?.job;
    if (job === null || job === undefined) throw new Error('the created job cannot be read');
    for (const object of Object.values(
      plannedObjects({ job, observed: NOTHING, settings: SETTINGS, redis: accessOf(job) }),
    )) {
      if (object === null) continue;
      await lab.create(resourceOf(object), NAMESPACE, object);
    }
  });
  return (performance.now() - began) / 1000;
}
