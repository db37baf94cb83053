import type { Role } from '../../crds/facts/role.ts';

/** The labels that selectors use: the job of an object, and the role of a pod. */
export const LABEL = { job: 'fedbiot.io/job', role: 'fedbiot.io/role' } as const;

export const MANAGER = 'fedbiot-operator';

/**
 * Label keys with these prefixes belong to the operator or to Kubernetes. A webhook injects credentials into pods with
 * the last one.
 */
export const RESERVED_LABELS = [
  'fedbiot.io/',
  'app.kubernetes.io/',
  'batch.kubernetes.io/',
  'pod-security.kubernetes.io/',
  'azure.workload.identity/',
] as const;

export const selectorOf = (job: string, role?: Role): Record<string, string> =>
  role === undefined ? { [LABEL.job]: job } : { [LABEL.job]: job, [LABEL.role]: role };

export function labelsOf(job: string, role?: Role): Record<string, string> {
  return {
    'app.kubernetes.io/name': 'fedbiot',
    'app.kubernetes.io/instance': job,
    ...(role === undefined ? {} : { 'app.kubernetes.io/component': role }),
    'app.kubernetes.io/managed-by': MANAGER,
    'app.kubernetes.io/part-of': 'fedbiot',
    ...selectorOf(job, role),
  };
}
