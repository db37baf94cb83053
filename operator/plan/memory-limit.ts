import type { Role } from '../../crds/facts/role.ts';
import type { JobObject } from '../objects/job-object.ts';
import { WORKER } from './worker-container.ts';

/** The memory limit of a role's worker container. */
export interface MemoryLimit {
  readonly bytes: number;
  /** As written, such as 16Gi. */
  readonly quantity: string;
  /** The field that sets it. */
  readonly field: string;
}

/** The memory limit of a role's pods; null: none. Resources in the role's podTemplate override the role's. */
export function memoryLimitOf({ spec }: JobObject, role: Role): MemoryLimit | null {
  const own = spec[role];
  const worker = own?.podTemplate?.spec?.containers?.find(({ name }) => name === WORKER);
  const overlaid = worker?.resources?.limits?.['memory'];
  const quantity = overlaid ?? own?.resources?.limits?.['memory'];
  if (quantity === undefined) return null;
  const at = overlaid === undefined ? '' : '.podTemplate.spec.containers[0]';
  return { bytes: bytesOf(quantity), quantity: String(quantity), field: `spec.${role}${at}.resources.limits.memory` };
}

const POWERS: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  ...Object.fromEntries(['k', 'M', 'G', 'T', 'P', 'E'].map((letter, i) => [letter, 1000 ** (i + 1)])),
  ...Object.fromEntries(['Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'].map((letters, i) => [letters, 1024 ** (i + 1)])),
};

/** The value of a Kubernetes quantity that the schema accepts. */
function bytesOf(quantity: number | string): number {
  const [, digits = '', suffix = ''] = /^([0-9.]+)(.*)$/.exec(String(quantity)) ?? [];
  const power = POWERS[suffix];
  return power === undefined ? Number(`${digits}${suffix}`) : Number(digits) * power;
}
