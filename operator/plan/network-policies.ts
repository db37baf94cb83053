import { PORT } from '../../worker/cluster/pod.ts';
import { REDIS_PORT } from '../../worker/transport/redis/redis-url.ts';
import type { JobObject, PlannedObject } from '../reconcile/ports.ts';
import { selectorOf } from './labels.ts';
import type { Role } from './labels.ts';
import { namesOf } from './names.ts';
import { metadataOf } from './owned.ts';
import type { PlanSettings } from './settings.ts';

/** Label that every namespace carries. */
const NAMESPACE_NAME = 'kubernetes.io/metadata.name';

const port = (number: number, protocol: 'TCP' | 'UDP' = 'TCP') => ({ port: number, protocol });

/** Names are resolved wherever the cluster's resolver runs. */
const DNS = { ports: [port(53, 'UDP'), port(53)] };

/** Anything in the cluster may read metrics: where Prometheus runs is not ours to know. */
const SCRAPE = { from: [{ namespaceSelector: {} }], ports: [port(PORT.metrics)] };

/** The Hugging Face hub; a policy cannot name a host. */
const HUB = { ports: [port(443)] };

const isOnHub = (uri: string | undefined) => uri?.startsWith('hf://') ?? false;

/**
 * Clients reach Redis and their server, the server reaches Redis, and both what they are told to read from the hub. `redisPort`: of the
 * Redis that the job brings; null: not known yet.
 */
export function networkPolicies(job: JobObject, settings: PlanSettings, redisPort: number | null): PlannedObject[] {
  const { name } = job.metadata;
  const { model, data } = job.spec;
  const redis = redisRule(job, settings, redisPort);
  const clients = { podSelector: { matchLabels: selectorOf(name, 'client') } };
  const server = { podSelector: { matchLabels: selectorOf(name, 'server') } };
  const serverReads = [model.uri, data.public?.uri, data.eval?.uri].some(isOnHub);
  return [
    policy(job, 'server', [{ from: [clients], ports: [port(PORT.bundle)] }, SCRAPE], [DNS, redis, ...(serverReads ? [HUB] : [])]),
    policy(
      job,
      'client',
      [SCRAPE],
      [DNS, redis, { to: [server], ports: [port(PORT.bundle)] }, ...(isOnHub(data.train.uri) ? [HUB] : [])],
    ),
  ];
}

function redisRule(job: JobObject, { redis }: PlanSettings, redisPort: number | null) {
  if (job.spec.redis !== undefined || redis === null) return { ports: [port(redisPort ?? REDIS_PORT)] };
  const pods = redis.namespace === null ? {} : { to: [{ namespaceSelector: { matchLabels: { [NAMESPACE_NAME]: redis.namespace } } }] };
  return { ...pods, ports: [port(redis.port)] };
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
