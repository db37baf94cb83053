import { pathText } from '../../crds/json-schema/node.ts';
import { SEEN_BY, sourceOf, volumeProblems } from '../../crds/pod-volumes.ts';
import type { VolumePurpose } from '../../crds/pod-volumes.ts';
import { MOUNT } from '../../worker/cluster/pod.ts';
import type { JobObject } from '../objects/job-object.ts';
import { InvalidSpec } from './invalid-spec.ts';
import type { Role } from '../../crds/facts/role.ts';
import { namesOf } from '../objects/owned-objects.ts';
import { redisCaOf } from './redis-ca.ts';
import type { PlanSettings } from './settings.ts';

export interface PodVolume {
  readonly name: string;
  readonly [source: string]: unknown;
}

export interface PodMount {
  readonly name: string;
  readonly mountPath: string;
  readonly readOnly?: boolean;
}

/** Names of the job's volumes in its pods. */
export const VOLUME_NAME: Readonly<Record<VolumePurpose, string>> = {
  model: 'model',
  publicData: 'public-data',
  clientData: 'client-data',
  output: 'output',
};

/** Volumes of a role's pod, and where they are mounted. */
export function volumesOf(
  job: JobObject,
  role: Role,
  settings: PlanSettings,
): { volumes: PodVolume[]; mounts: PodMount[] } {
  const [problem] = volumeProblems(job);
  if (problem !== undefined) throw new InvalidSpec(pathText(problem.path), problem.message);
  const names = namesOf(job.metadata.name);
  const volumes: PodVolume[] = [{ name: 'job', configMap: { name: names.configMap } }];
  const mounts: PodMount[] = [{ name: 'job', mountPath: MOUNT.job, readOnly: true }];
  for (const purpose of SEEN_BY[role]) {
    const source = sourceOf(job, purpose);
    if (source === null) continue;
    // A claim that serves two purposes becomes one volume with two mounts: not every driver can attach a claim twice.
    const same = volumes.find(({ name: _, ...other }) => JSON.stringify(other) === JSON.stringify(source));
    const name = same?.name ?? VOLUME_NAME[purpose];
    if (same === undefined) volumes.push({ name, ...source });
    mounts.push({ name, mountPath: MOUNT[purpose], ...(purpose === 'output' ? {} : { readOnly: true }) });
  }
  if (role === 'client') {
    volumes.push({ name: 'cache', emptyDir: {} });
    mounts.push({ name: 'cache', mountPath: MOUNT.cache });
  }
  const ca = redisCaOf(job, settings);
  if (ca !== null) {
    volumes.push({ name: 'redis-ca', secret: { secretName: ca.secret, items: [{ key: ca.key, path: 'ca.crt' }] } });
    mounts.push({ name: 'redis-ca', mountPath: MOUNT.redisCa, readOnly: true });
  }
  volumes.push({ name: 'tmp', emptyDir: {} });
  mounts.push({ name: 'tmp', mountPath: MOUNT.temporary });
  return { volumes, mounts };
}
