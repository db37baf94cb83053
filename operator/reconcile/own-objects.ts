import { isOwned } from '../plan/owned.ts';
import type { JobObject } from '../objects/job-object.ts';
import type { Observed, ObservedOwned, ObservedPod } from '../objects/observed.ts';

/**
 * The observation without Jobs, pods and a Workload of other owners: those of an earlier job of the same name may still
 * be terminating.
 */
export function ownObjects(job: JobObject, observed: Observed): Observed {
  const own = (found: ObservedOwned | null) => (found !== null && isOwned(job, found) ? found : null);
  const [serverJob, clientsJob] = [own(observed.serverJob), own(observed.clientsJob)];
  const owners = [serverJob, clientsJob].map((owner) => owner?.metadata.uid);
  const isOurs = ({ metadata }: ObservedPod) =>
    metadata.ownerReferences?.some(({ uid }) => owners.includes(uid)) ?? false;
  return { ...observed, workload: own(observed.workload), serverJob, clientsJob, pods: observed.pods.filter(isOurs) };
}
