import { isRecord } from '../../crds/json-schema/node.ts';
import type { JobObject } from '../objects/job-object.ts';
import type { Role } from '../../crds/facts/role.ts';
import { WORKER } from './worker-container.ts';

/** NVIDIA's device plugin offers whole GPUs as nvidia.com/gpu, and parts of a GPU as nvidia.com/mig-…. */
const isGpu = (resource: string) => resource === 'nvidia.com/gpu' || resource.startsWith('nvidia.com/mig-');

/** Whether a device claim (dynamic resource allocation) is for GPUs. Only its name is known here. */
const isGpuClaim = (name: string) => name === 'gpu' || name.startsWith('gpu-');

/** Whether a container's resources include a GPU. */
export const asksForGpu = (resources: unknown): boolean =>
  Object.values(gpusIn(resources)).some((quantity) => Number(quantity) !== 0);

/** GPUs, or parts of a GPU, that each pod of a role requests. Resources in its podTemplate override the role's. */
export function gpusOf({ spec }: JobObject, role: Role): number {
  const own = spec[role];
  const worker = own?.podTemplate?.spec?.containers?.find(({ name }) => name === WORKER);
  const quantities = { ...gpusIn(own?.resources), ...gpusIn(worker?.resources) };
  return Object.values(quantities).reduce<number>((sum, quantity) => sum + Number(quantity), 0);
}

/** Quantities by resource or claim. For GPUs, a request equals the limit. A claim counts as one GPU. */
function gpusIn(resources: unknown): Readonly<Record<string, unknown>> {
  const asked = fieldsOf(resources);
  const amounts = ['requests', 'limits'].flatMap((kind) =>
    Object.entries(fieldsOf(asked[kind])).filter(([name]) => isGpu(name)),
  );
  const claims = Array.isArray(asked['claims']) ? asked['claims'].map((claim) => fieldsOf(claim)['name']) : [];
  return Object.fromEntries([
    ...amounts,
    ...claims.filter((name) => typeof name === 'string' && isGpuClaim(name)).map((name) => [`claim ${name}`, 1]),
  ]);
}

const fieldsOf = (value: unknown) => (isRecord(value) ? value : {});
