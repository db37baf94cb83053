import { hubRoute, nextHop } from '../../worker/cluster/hub-route.ts';
import type { JobObject } from '../objects/job-object.ts';
import type { Role } from '../../crds/facts/role.ts';
import { namespaceOf } from './service.ts';
import { WORKER } from './worker-container.ts';
import type { PodTemplate } from './worker-container.ts';

const isOnHub = (uri: string | undefined) => uri?.startsWith('hf://') ?? false;

/** Whether a role reads anything from the Hugging Face hub. */
export function readsHub({ spec: { model, data } }: JobObject, role: Role): boolean {
  return role === 'client' ? isOnHub(data.train.uri) : [model.uri, data.public?.uri, data.eval?.uri].some(isOnHub);
}

/**
 * Where a pod connects to for the hub: the proxy or the endpoint in its environment. `namespace`: of its Service; null:
 * it is not a Service of the cluster, and a network policy cannot name another host.
 */
export function hubPeer({ spec }: PodTemplate): { port: number; namespace: string | null } {
  const variables = spec.containers.find(({ name }) => name === WORKER)?.env ?? [];
  const { host, port } = nextHopOf(Object.fromEntries(variables.map(({ name, value }) => [name, value])));
  return { port, namespace: namespaceOf(host) };
}

function nextHopOf(variables: Readonly<Record<string, string | undefined>>): { host: string; port: number } {
  try {
    return nextHop(hubRoute(variables));
  } catch {
    // The pod reports what is wrong with the variables.
    return nextHop(hubRoute({}));
  }
}
