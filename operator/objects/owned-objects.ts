import type { Role } from '../../crds/facts/role.ts';
import { outputClaimOf } from '../../crds/pod-volumes.ts';
import { RESOURCE } from './resources.ts';
import type { Resource } from './resources.ts';

export interface OwnedObject {
  readonly resource: Resource;
  /** The role that the object serves; absent if it serves both. */
  readonly role?: Role;
  /** The object's name, derived from the name of its job. */
  name(job: string): string;
}

/**
 * The objects that the operator creates for each job, in the order of creation. Caches, observation, plan and tests
 * derive from this table; operator/plan/build.ts builds each object.
 *
 * A job's name has at most 52 characters; names of Jobs and Services and values of labels have at most 63.
 */
export const OWNED = {
  // Network policies come first: no pod may run without them.
  serverPolicy: { resource: RESOURCE.policy, role: 'server', name: (job) => `${job}-server` },
  clientsPolicy: { resource: RESOURCE.policy, role: 'client', name: (job) => `${job}-clients` },
  configMap: { resource: RESOURCE.configMap, name: (job) => `${job}-job` },
  credentials: { resource: RESOURCE.secret, name: (job) => `${job}-credentials` },
  // The name of a job may begin with a digit, but that of a Service must not.
  service: {
    resource: RESOURCE.service,
    role: 'server',
    name: (job) => (/^[a-z]/.test(job) ? `${job}-server` : `fbj-${job}-server`),
  },
  outputClaim: { resource: RESOURCE.claim, role: 'server', name: outputClaimOf },
  // Pods need quota, if the job waits in a queue.
  workload: { resource: RESOURCE.workload, name: (job) => `fedbiotjob-${job}` },
  serverJob: { resource: RESOURCE.job, role: 'server', name: (job) => `${job}-server` },
  clientsJob: { resource: RESOURCE.job, role: 'client', name: (job) => `${job}-clients` },
} as const satisfies Record<string, OwnedObject>;

export type OwnedKey = keyof typeof OWNED;

const isOwnedKey = (key: string): key is OwnedKey => key in OWNED;

export const OWNED_KEYS: readonly OwnedKey[] = Object.keys(OWNED).filter(isOwnedKey);

/** The distinct kinds of the owned objects. */
export const OWNED_RESOURCES: readonly Resource[] = [...new Set(OWNED_KEYS.map((key) => OWNED[key].resource))];

/** One value for each owned object. */
export function eachOwned<T>(value: (key: OwnedKey) => T): Record<OwnedKey, T> {
  const values: Partial<Record<OwnedKey, T>> = {};
  for (const key of OWNED_KEYS) values[key] = value(key);
  if (!hasEach(values)) throw new Error('an owned object has no value');
  return values;
}

const hasEach = <T>(values: Partial<Record<OwnedKey, T>>): values is Record<OwnedKey, T> =>
  OWNED_KEYS.every((key) => key in values);

/** The names of a job's objects. */
export const namesOf = (job: string): Readonly<Record<OwnedKey, string>> => eachOwned((key) => OWNED[key].name(job));

/** `Kind name` of a job's object, for messages. */
export const titleOf = (key: OwnedKey, job: string): string => `${OWNED[key].resource.kind} ${OWNED[key].name(job)}`;
