import { GROUP, KIND, VERSION } from '../../crds/schema/job.ts';

/** A kind of object, and its plural in the API server's paths. */
export interface Resource {
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
}

/** Kinds that the operator reads or writes. */
export const RESOURCE = {
  fedbiotJob: { apiVersion: `${GROUP}/${VERSION}`, kind: KIND, plural: 'fedbiotjobs' },
  job: { apiVersion: 'batch/v1', kind: 'Job', plural: 'jobs' },
  pod: { apiVersion: 'v1', kind: 'Pod', plural: 'pods' },
  configMap: { apiVersion: 'v1', kind: 'ConfigMap', plural: 'configmaps' },
  secret: { apiVersion: 'v1', kind: 'Secret', plural: 'secrets' },
  service: { apiVersion: 'v1', kind: 'Service', plural: 'services' },
  claim: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', plural: 'persistentvolumeclaims' },
  policy: { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', plural: 'networkpolicies' },
  event: { apiVersion: 'events.k8s.io/v1', kind: 'Event', plural: 'events' },
  workload: { apiVersion: 'kueue.x-k8s.io/v1beta2', kind: 'Workload', plural: 'workloads' },
  // Without a namespace:
  resourceFlavor: { apiVersion: 'kueue.x-k8s.io/v1beta2', kind: 'ResourceFlavor', plural: 'resourceflavors' },
  workloadPriorityClass: {
    apiVersion: 'kueue.x-k8s.io/v1beta2',
    kind: 'WorkloadPriorityClass',
    plural: 'workloadpriorityclasses',
  },
  priorityClass: { apiVersion: 'scheduling.k8s.io/v1', kind: 'PriorityClass', plural: 'priorityclasses' },
} as const satisfies Record<string, Resource>;

export function resourceOf({ apiVersion, kind }: Pick<Resource, 'apiVersion' | 'kind'>): Resource {
  const found = Object.values(RESOURCE).find((each) => each.apiVersion === apiVersion && each.kind === kind);
  if (found === undefined) throw new Error(`the operator knows no ${apiVersion} ${kind}`);
  return found;
}

/** `namespace` null: all namespaces, or none. */
export function collectionPath({ apiVersion, plural }: Resource, namespace: string | null): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return namespace === null ? `${root}/${plural}` : `${root}/namespaces/${encodeURIComponent(namespace)}/${plural}`;
}

export const objectPath = (resource: Resource, namespace: string | null, name: string): string =>
  `${collectionPath(resource, namespace)}/${encodeURIComponent(name)}`;
