import { isRecord } from '../../crds/schema/node.ts';

/** Resources under which NVIDIA's device plugin offers whole GPUs (nvidia.com/gpu) and parts of them (nvidia.com/mig-…). */
const isGpu = (resource: string) => resource === 'nvidia.com/gpu' || resource.startsWith('nvidia.com/mig-');

/** Whether a container's resources ask for a GPU. */
export function asksForGpu(resources: unknown): boolean {
  return ['limits', 'requests'].some((kind) =>
    Object.entries(fieldsOf(fieldsOf(resources)[kind])).some(([name, quantity]) => isGpu(name) && Number(quantity) !== 0),
  );
}

const fieldsOf = (value: unknown) => (isRecord(value) ? value : {});
