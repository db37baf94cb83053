import { isRecord } from '../../crds/schema/node.ts';
import { MOUNT } from '../../worker/cluster/pod.ts';
import type { JobObject } from '../reconcile/ports.ts';
import { InvalidSpec } from './invalid-spec.ts';
import type { Role } from './labels.ts';
import { namesOf } from './names.ts';
import { hiddenFrom, isWithin, overlaps } from './volumes.ts';

/** Kinds of volumes that the restricted pod security standard allows and that carry no API credentials. */
const SOURCES = ['configMap', 'csi', 'downwardAPI', 'emptyDir', 'ephemeral', 'image', 'persistentVolumeClaim', 'secret'];

/** The operator's own volumes; a job may put something larger in the place of the last two. */
const RESERVED = ['job', 'model', 'public-data', 'client-data', 'output', 'redis-ca'];
const REPLACEABLE = ['cache', 'tmp'];

/** Folders of the image and of the operator's mounts. */
const TAKEN = ['/app', '/fedbiot', '/etc/fedbiot', MOUNT.temporary];

/** @throws InvalidSpec for a volume that could show a role what it must not see. */
export function checkVolumes(job: JobObject, role: Role, volumes: readonly unknown[], path: string): void {
  const hidden = hiddenFrom(job, role);
  volumes.forEach((volume, index) => {
    const at = `${path}[${index}]`;
    if (!isRecord(volume)) throw new InvalidSpec(at, 'must be an object');
    const { name, ...sources } = volume;
    if (typeof name !== 'string') throw new InvalidSpec(`${at}.name`, 'must be a string');
    if (RESERVED.includes(name)) throw new InvalidSpec(`${at}.name`, `${name} is the operator's own volume; only ${REPLACEABLE.join(' and ')} may be replaced`);
    const kinds = Object.keys(sources);
    const refused = kinds.find((kind) => !SOURCES.includes(kind));
    if (refused !== undefined) throw new InvalidSpec(`${at}.${refused}`, `may not be set; what may is ${SOURCES.join(', ')}`);
    if (kinds.length !== 1) throw new InvalidSpec(at, `needs one of ${SOURCES.join(', ')}`);
    if (hidden.some((source) => overlaps(source, sources))) {
      throw new InvalidSpec(at, `is a volume that ${role} pods must not see`);
    }
    const secret = sources['secret'];
    if (isRecord(secret) && secret['secretName'] === namesOf(job.metadata.name).credentials) {
      throw new InvalidSpec(at, "is the Secret with the job's own credentials");
    }
  });
}

/** @throws InvalidSpec for a mount that would hide the program, or what the operator mounts. */
export function checkMounts(mounts: readonly unknown[], path: string): void {
  mounts.forEach((mount, index) => {
    const mountPath = isRecord(mount) ? mount['mountPath'] : undefined;
    const at = `${path}[${index}].mountPath`;
    if (typeof mountPath !== 'string' || !mountPath.startsWith('/') || mountPath.split('/').includes('..')) {
      throw new InvalidSpec(at, 'must be an absolute path');
    }
    const taken = TAKEN.find((folder) => isWithin(mountPath, folder) || isWithin(folder, mountPath));
    if (taken !== undefined) throw new InvalidSpec(at, `${mountPath} would hide what the pod has at ${taken}`);
  });
}
