import { PORT } from '../../worker/cluster/pod.ts';
import { REDIS_PORT } from '../../worker/transport/redis/redis-url.ts';
import type { JobObject } from '../objects/job-object.ts';
import type { PlannedObject } from '../objects/planned.ts';
import { hubPeer, readsHub } from './hub.ts';
import { selectorOf } from '../objects/labels.ts';
import type { Role } from '../../crds/facts/role.ts';
import { headerOf } from './owned.ts';
import { podTemplate } from './pod.ts';
import type { PlanSettings } from './settings.ts';

/** Label that every namespace carries. */
const NAMESPACE_NAME = 'kubernetes.io/metadata.name';

const port = (number: number, protocol: 'TCP' | 'UDP' = 'TCP') => ({ port: number, protocol });

/** Names are resolved wherever the cluster's resolver runs. */
const DNS = { ports: [port(53, 'UDP'), port(53)] };

/** Anything in the cluster may read metrics: where Prometheus runs is not ours to know. */
const SCRAPE = { from: [{ namespaceSelector: {} }], ports: [port(PORT.metrics)] };

/**
 * The server accepts its clients, and connects to Redis and, if the job names it, to the hub. `redisPort`: port of the
 * job's own Redis; null: not known yet.
 */
export function serverPolicy(job: JobObject, settings: PlanSettings, redisPort: number | null): PlannedObject {
  const ingress = [{ from: [podsOf(job, 'client')], ports: [port(PORT.bundle)] }, SCRAPE];
  return policy(job, 'server', ingress, [
    DNS,
    redisRule(job, settings, redisPort),
    ...hubRules(job, 'server', settings),
  ]);
}

/** Clients connect to Redis, to their server and, if the job names it, to the hub. `redisPort` as for the server. */
export function clientsPolicy(job: JobObject, settings: PlanSettings, redisPort: number | null): PlannedObject {
  const server = { to: [podsOf(job, 'server')], ports: [port(PORT.bundle)] };
  const egress = [DNS, redisRule(job, settings, redisPort), server, ...hubRules(job, 'client', settings)];
  return policy(job, 'client', [SCRAPE], egress);
}

const podsOf = (job: JobObject, role: Role) => ({
  podSelector: { matchLabels: selectorOf(job.metadata.name, role) },
});

const hubRules = (job: JobObject, role: Role, settings: PlanSettings) =>
  readsHub(job, role) ? [peers(hubPeer(podTemplate(job, role, settings)))] : [];

function redisRule(job: JobObject, { redis }: PlanSettings, redisPort: number | null) {
  if (job.spec.redis !== undefined || redis === null) return { ports: [port(redisPort ?? REDIS_PORT)] };
  return peers(redis);
}

/** A port of the pods of a namespace, or of any address. */
function peers({ namespace, port: number }: { namespace: string | null; port: number }) {
  const pods =
    namespace === null ? {} : { to: [{ namespaceSelector: { matchLabels: { [NAMESPACE_NAME]: namespace } } }] };
  return { ...pods, ports: [port(number)] };
}

function policy(job: JobObject, role: Role, ingress: readonly object[], egress: readonly object[]): PlannedObject {
  return {
    ...headerOf(job, role === 'server' ? 'serverPolicy' : 'clientsPolicy'),
    spec: {
      ...podsOf(job, role),
      policyTypes: ['Ingress', 'Egress'],
      ingress,
      egress,
    },
  };
}
