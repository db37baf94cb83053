import { isRecord } from '../../crds/json-schema/node.ts';
import { MOUNT } from '../../worker/cluster/pod.ts';
import type { JobObject } from '../objects/job-object.ts';
import { InvalidSpec } from './invalid-spec.ts';
import type { Role } from '../../crds/facts/role.ts';
import { namesOf } from '../objects/owned-objects.ts';
import { checkSource } from './volume-source.ts';
import { hiddenFrom, isWithin, overlaps } from '../../crds/pod-volumes.ts';
import { VOLUME_NAME } from './volumes.ts';

/** The operator's volumes. All except `output` are read-only. A job may replace `cache` and `tmp` by larger volumes. */
const WRITABLE = VOLUME_NAME.output;
const RESERVED = ['job', ...Object.values(VOLUME_NAME), 'redis-ca'];
const REPLACEABLE = ['cache', 'tmp'];

/** Folders of the image, and folders where the operator mounts volumes. */
const TAKEN = ['/app', '/fedbiot', '/etc/fedbiot', MOUNT.temporary];

/** @throws InvalidSpec for a volume that could expose data that the role must not see */
export function checkVolumes(job: JobObject, role: Role, volumes: readonly unknown[], path: string): void {
  const hidden = [...hiddenFrom(job, role), ...sharable(job, role)];
  volumes.forEach((volume, index) => {
    const at = `${path}[${index}]`;
    if (!isRecord(volume)) throw new InvalidSpec(at, 'must be an object');
    const { name, ...sources } = volume;
    if (typeof name !== 'string') throw new InvalidSpec(`${at}.name`, 'must be a string');
    if (RESERVED.includes(name))
      throw new InvalidSpec(
        `${at}.name`,
        `${name} is the operator's own volume; you can only replace ${REPLACEABLE.join(' and ')}`,
      );
    checkSource(sources, namesOf(job.metadata.name).credentials, at);
    if (hidden.some((source) => overlaps(source, sources)))
      throw new InvalidSpec(at, `is a volume that ${role} pods must not see`);
  });
}

/** Claims in the other role's podTemplate: a volume that both roles can write to could carry data between them. */
function sharable(job: JobObject, role: Role): Readonly<Record<string, unknown>>[] {
  const volumes = job.spec[role === 'server' ? 'client' : 'server']?.podTemplate?.spec?.volumes ?? [];
  return volumes.filter((volume) => isRecord(volume) && 'persistentVolumeClaim' in volume);
}

/** @throws InvalidSpec for a mount that would hide the program or a mount of the operator */
export function checkMounts(mounts: readonly unknown[], path: string): void {
  mounts.forEach((mount, index) => {
    const mountPath = isRecord(mount) ? mount['mountPath'] : undefined;
    const at = `${path}[${index}].mountPath`;
    if (typeof mountPath !== 'string' || !mountPath.startsWith('/') || mountPath.split('/').includes('..')) {
      throw new InvalidSpec(at, 'must be an absolute path');
    }
    const taken = TAKEN.find((folder) => isWithin(mountPath, folder) || isWithin(folder, mountPath));
    if (taken !== undefined) throw new InvalidSpec(at, `${mountPath} would hide ${taken}, which the pod needs`);
  });
}

/** @throws InvalidSpec for a writable mount of a read-only volume of the operator */
export function checkReadOnly(mounts: readonly unknown[], path: string): void {
  mounts.forEach((mount, index) => {
    if (!isRecord(mount)) throw new InvalidSpec(`${path}[${index}]`, 'must be an object');
    const { name, readOnly } = mount;
    if (typeof name === 'string' && name !== WRITABLE && RESERVED.includes(name) && readOnly !== true) {
      throw new InvalidSpec(`${path}[${index}].readOnly`, `must be true: ${name} is the operator's own volume`);
    }
  });
}
