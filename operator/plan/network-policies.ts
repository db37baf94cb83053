import { PORT } from '../../worker/cluster/pod.ts';
import { REDIS_PORT } from '../../worker/transport/redis/redis-url.ts';
import type { JobObject } from '../objects/job-object.ts';
import type { PlannedObject } from '../objects/planned.ts';
import { hubPeer } from './hub.ts';
import { selectorOf } from '../objects/labels.ts';
import type { Role } from '../../crds/facts/role.ts';
import { namesOf } from '../objects/names.ts';
import { metadataOf } from './owned.ts';
import { readsHub } from './reads-hub.ts';
import type { PlanSettings } from './settings.ts';

/** Label that every namespace carries. */
const NAMESPACE_NAME = 'kubernetes.io/metadata.name';

const port = (number: number, protocol: 'TCP' | 'UDP' = 'TCP') => ({ port: number, protocol });

/** Names are resolved wherever the cluster's resolver runs. */
const DNS = { ports: [port(53, 'UDP'), port(53)] };

/** Anything in the cluster may read metrics: where Prometheus runs is not ours to know. */
const SCRAPE = { from: [{ namespaceSelector: {} }], ports: [port(PORT.metrics)] };

/**
 * Clients reach Redis and their server, the server reaches Redis, and both what they are told to read from the hub.
 * `redisPort`: of the Redis that the job brings; null: not known yet.
 */
export function networkPolicies(job: JobObject, settings: PlanSettings, redisPort: number | null): PlannedObject[] {
  const { name } = job.metadata;
  const redis = redisRule(job, settings, redisPort);
  const clients = { podSelector: { matchLabels: selectorOf(name, 'client') } };
  const server = { podSelector: { matchLabels: selectorOf(name, 'server') } };
  const hub = (role: Role) => (readsHub(job, role) ? [peers(hubPeer(job, role, settings))] : []);
  return [
    policy(job, 'server', [{ from: [clients], ports: [port(PORT.bundle)] }, SCRAPE], [DNS, redis, ...hub('server')]),
    policy(job, 'client', [SCRAPE], [DNS, redis, { to: [server], ports: [port(PORT.bundle)] }, ...hub('client')]),
  ];
}

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
  const names = namesOf(job.metadata.name);
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: metadataOf(job, role === 'server' ? names.server : names.clients, role),
    spec: {
      podSelector: { matchLabels: selectorOf(job.metadata.name, role) },
      policyTypes: ['Ingress', 'Egress'],
      ingress,
      egress,
    },
  };
}
