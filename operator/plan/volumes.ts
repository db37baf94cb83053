import { isRecord } from '../../crds/json-schema/node.ts';
import { MOUNT } from '../../worker/cluster/pod.ts';
import type { FedBiOTJobSpec, OutputVolume, VolumeSource } from '../../crds/types.ts';
import type { JobObject } from '../objects/job-object.ts';
import { mayBeSameImage } from './image-name.ts';
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

type Purpose = keyof NonNullable<FedBiOTJobSpec['volumes']>;

/** Names of the job's volumes in its pods. */
export const VOLUME_NAME: Readonly<Record<Purpose, string>> = {
  model: 'model',
  publicData: 'public-data',
  clientData: 'client-data',
  output: 'output',
};

/** The volumes that each role mounts. This isolates the data of server and clients from each other. */
const SEEN_BY: Readonly<Record<Role, readonly Purpose[]>> = {
  server: ['model', 'publicData', 'output'],
  client: ['clientData'],
};

/** Volumes of a role's pod, and where they are mounted. */
export function volumesOf(
  job: JobObject,
  role: Role,
  settings: PlanSettings,
): { volumes: PodVolume[]; mounts: PodMount[] } {
  refuseSharedVolumes(job);
  refuseNodeFolders(job);
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

function sourceOf(job: JobObject, purpose: Purpose): Readonly<Record<string, unknown>> | null {
  const volume: VolumeSource | OutputVolume | undefined = job.spec.volumes?.[purpose];
  const source = volume === undefined ? null : given(volume);
  if (source !== null) return source;
  return purpose === 'output' ? { persistentVolumeClaim: { claimName: namesOf(job.metadata.name).outputClaim } } : null;
}

function given(volume: VolumeSource | OutputVolume): Readonly<Record<string, unknown>> | null {
  if (volume.persistentVolumeClaim !== undefined) return { persistentVolumeClaim: { ...volume.persistentVolumeClaim } };
  if (volume.hostPath !== undefined) return { hostPath: { ...volume.hostPath } };
  if ('image' in volume && volume.image !== undefined) return { image: { ...volume.image } };
  return null;
}

/** A volume that both roles mount would expose the data of one role to the other. */
function refuseSharedVolumes(job: JobObject): void {
  const clientData = sourceOf(job, 'clientData');
  if (clientData === null) return;
  for (const purpose of SEEN_BY.server) {
    const source = sourceOf(job, purpose);
    if (source !== null && overlaps(source, clientData)) {
      throw new InvalidSpec(
        'spec.volumes.clientData',
        `is the same volume as spec.volumes.${purpose}: it would expose data of the server to clients, or data of clients ` +
          'to the server; use two volumes',
      );
    }
  }
}

/** Folders in which a node keeps volumes, images and devices of all pods. */
const NODE_FOLDERS = [
  '/var/lib/kubelet',
  '/var/lib/containerd',
  '/run/containerd',
  '/var/lib/containers',
  '/run/containers',
  '/var/lib/docker',
  '/var/lib/rancher',
  '/proc',
  '/sys',
  '/dev',
];

function refuseNodeFolders(job: JobObject): void {
  for (const purpose of [...SEEN_BY.server, ...SEEN_BY.client]) {
    const path = text(sourceOf(job, purpose) ?? {}, 'hostPath', 'path');
    const folder =
      path === null ? undefined : NODE_FOLDERS.find((each) => isWithin(path, each) || isWithin(each, path));
    if (folder !== undefined) {
      throw new InvalidSpec(
        `spec.volumes.${purpose}.hostPath.path`,
        `exposes ${folder}, where a node keeps files of other pods; use a separate folder`,
      );
    }
  }
}

/** Whether one volume exposes files of the other. */
export function overlaps(a: Readonly<Record<string, unknown>>, b: Readonly<Record<string, unknown>>): boolean {
  const [claimA, claimB] = [
    text(a, 'persistentVolumeClaim', 'claimName'),
    text(b, 'persistentVolumeClaim', 'claimName'),
  ];
  if (claimA !== null && claimA === claimB) return true;
  const [imageA, imageB] = [text(a, 'image', 'reference'), text(b, 'image', 'reference')];
  if (imageA !== null && imageB !== null && mayBeSameImage(imageA, imageB)) return true;
  const [pathA, pathB] = [text(a, 'hostPath', 'path'), text(b, 'hostPath', 'path')];
  return pathA !== null && pathB !== null && (isWithin(pathA, pathB) || isWithin(pathB, pathA));
}

function text(volume: Readonly<Record<string, unknown>>, source: string, field: string): string | null {
  const value = volume[source];
  const found = isRecord(value) ? value[field] : undefined;
  return typeof found === 'string' ? found : null;
}

/** Whether `path` is `folder` or a path in it. */
export function isWithin(path: string, folder: string): boolean {
  const parts = (whole: string) => whole.split('/').filter((part) => part !== '' && part !== '.');
  const [inner, outer] = [parts(path), parts(folder)];
  return outer.every((part, index) => inner[index] === part);
}

/** Whether an image is a volume that the role must not see. A container of that image would have the same files. */
export const isHiddenImage = (job: JobObject, role: Role, reference: string): boolean =>
  hiddenFrom(job, role).some((source) => overlaps(source, { image: { reference } }));

/** Volume sources of the other role, which the role must not see. */
export const hiddenFrom = (job: JobObject, role: Role): Readonly<Record<string, unknown>>[] =>
  SEEN_BY[role === 'server' ? 'client' : 'server']
    .map((purpose) => sourceOf(job, purpose))
    .filter((source) => source !== null);
