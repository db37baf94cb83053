import { hubRoute, nextHop } from '../../worker/cluster/hub-route.ts';
import type { JobObject } from '../objects/job-object.ts';
import type { Role } from '../../crds/facts/role.ts';
import { podTemplate } from './pod.ts';
import { namespaceOf } from './service-namespace.ts';
import type { PlanSettings } from './settings.ts';
import { WORKER } from './worker-container.ts';

/**
 * Where a role connects to for the hub: the proxy, or the endpoint, that its environment names. `namespace`: of a
 * Service; null: anywhere, as a policy cannot name a host.
 */
export function hubPeer(
  job: JobObject,
  role: Role,
  settings: PlanSettings,
): { port: number; namespace: string | null } {
  const { containers } = podTemplate(job, role, settings).spec;
  const variables = containers.find(({ name }) => name === WORKER)?.env ?? [];
  const { host, port } = nextHopOf(Object.fromEntries(variables.map(({ name, value }) => [name, value])));
  return { port, namespace: namespaceOf(host) };
}

function nextHopOf(variables: Readonly<Record<string, string | undefined>>): { host: string; port: number } {
  try {
    return nextHop(hubRoute(variables));
  } catch {
    // The pod reports what is wrong with them.
    return nextHop(hubRoute({}));
  }
}
