import type { Role } from './facts/role.ts';
import { mayBeSameImage } from './image-name.ts';
import { isRecord } from './json-schema/node.ts';
import type { Problem } from './json-schema/node.ts';
import type { FedBiOTJobSpec, OutputVolume, VolumeSource } from './types.ts';

/** The parts of a job that decide which volumes its pods mount. */
interface JobWithVolumes {
  readonly metadata: { readonly name: string };
  readonly spec: Pick<FedBiOTJobSpec, 'volumes'>;
}

export type VolumePurpose = keyof NonNullable<FedBiOTJobSpec['volumes']>;

/** The volumes that each role mounts. This isolates the data of server and clients from each other. */
export const SEEN_BY: Readonly<Record<Role, readonly VolumePurpose[]>> = {
  server: ['model', 'publicData', 'output'],
  client: ['clientData'],
};

/** The claim that is created for a job that names no output volume. */
export const outputClaimOf = (job: string): string => `${job}-output`;

/** A volume of the job as a pod has it; null: the job has none for this purpose. */
export function sourceOf(job: JobWithVolumes, purpose: VolumePurpose): Readonly<Record<string, unknown>> | null {
  const volume: VolumeSource | OutputVolume | undefined = job.spec.volumes?.[purpose];
  const source = volume === undefined ? null : given(volume);
  if (source !== null) return source;
  return purpose === 'output' ? { persistentVolumeClaim: { claimName: outputClaimOf(job.metadata.name) } } : null;
}

function given(volume: VolumeSource | OutputVolume): Readonly<Record<string, unknown>> | null {
  if (volume.persistentVolumeClaim !== undefined) return { persistentVolumeClaim: { ...volume.persistentVolumeClaim } };
  if (volume.hostPath !== undefined) return { hostPath: { ...volume.hostPath } };
  if ('image' in volume && volume.image !== undefined) return { image: { ...volume.image } };
  return null;
}

/** Volumes that the operator refuses: those that both roles would see, and folders with the files of other pods. */
export const volumeProblems = (job: JobWithVolumes): Problem[] => [...sharedVolumes(job), ...nodeFolders(job)];

/** A volume that both roles mount would expose the data of one role to the other. */
function sharedVolumes(job: JobWithVolumes): Problem[] {
  const clientData = sourceOf(job, 'clientData');
  if (clientData === null) return [];
  return SEEN_BY.server.flatMap((purpose) => {
    const source = sourceOf(job, purpose);
    if (source === null || !overlaps(source, clientData)) return [];
    const message = `is the same volume as spec.volumes.${purpose}: it would expose data of the server to clients, or data of clients to the server; use two volumes`;
    return [{ path: ['spec', 'volumes', 'clientData'], message }];
  });
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

function nodeFolders(job: JobWithVolumes): Problem[] {
  return [...SEEN_BY.server, ...SEEN_BY.client].flatMap((purpose) => {
    const path = text(sourceOf(job, purpose) ?? {}, 'hostPath', 'path');
    const folder =
      path === null ? undefined : NODE_FOLDERS.find((each) => isWithin(path, each) || isWithin(each, path));
    if (folder === undefined) return [];
    const message = `exposes ${folder}, where a node keeps files of other pods; use a separate folder`;
    return [{ path: ['spec', 'volumes', purpose, 'hostPath', 'path'], message }];
  });
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
export const isHiddenImage = (job: JobWithVolumes, role: Role, reference: string): boolean =>
  hiddenFrom(job, role).some((source) => overlaps(source, { image: { reference } }));

/** Volume sources of the other role, which the role must not see. */
export const hiddenFrom = (job: JobWithVolumes, role: Role): Readonly<Record<string, unknown>>[] =>
  SEEN_BY[role === 'server' ? 'client' : 'server']
    .map((purpose) => sourceOf(job, purpose))
    .filter((source) => source !== null);
