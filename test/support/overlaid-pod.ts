import type { Test } from 'tap';
import type { Role } from '../../crds/facts/role.ts';
import { podTemplate } from '../../operator/plan/pod.ts';
import { jobObject, SETTINGS } from './planned-job.ts';

export const VOLUMES = {
  model: { image: { reference: 'models/big:1' } },
  publicData: { persistentVolumeClaim: { claimName: 'public' } },
  clientData: { persistentVolumeClaim: { claimName: 'records' } },
};

/** The role's pod of a job with these volumes. `spec` is not validated. */
export function pod(role: Role, spec: object, volumes: object = VOLUMES) {
  const job = jobObject({ volumes });
  return podTemplate({ ...job, spec: { ...job.spec, ...spec } }, role, SETTINGS);
}

export const overlaid = (role: Role, patch: object) =>
  pod(role, { [role]: { podTemplate: patch, pods: 1, parallelClients: 1 } });

export const withVolume = (role: Role, source: object) =>
  overlaid(role, { spec: { volumes: [{ name: 'x', ...source }] } });

export const refuses = (t: Test, make: () => unknown, message: RegExp) =>
  t.throws(make, { name: 'InvalidSpec', message }, String(message));
