import Type from 'typebox';
import Value from 'typebox/value';
import type { ApiClient } from '../kube/api-client.ts';
import { CODE, isApiError } from '../kube/api-error.ts';
import type { LeaseRecord, LeaseStore, StoredLease } from './lease.ts';

export const LEASE_NAME = 'fedbiot-operator';

const Lease = Type.Object({
  metadata: Type.Object({ resourceVersion: Type.String({ minLength: 1 }) }),
  spec: Type.Optional(
    Type.Object({
      holderIdentity: Type.Optional(Type.String()),
      leaseDurationSeconds: Type.Optional(Type.Number()),
      acquireTime: Type.Optional(Type.String()),
      renewTime: Type.Optional(Type.String()),
      leaseTransitions: Type.Optional(Type.Number()),
    }),
  ),
});

/** The lease as an object of the API server. */
export function kubernetesLease(client: Pick<ApiClient, 'json'>, namespace: string): LeaseStore {
  const collection = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
  const path = `${collection}/${LEASE_NAME}`;
  return {
    read: () => unless([CODE.notFound], () => client.json('GET', path)),
    create: (record) => unless([CODE.conflict], () => client.json('POST', collection, { body: manifest(namespace, record) })),
    replace: (version, record) =>
      unless([CODE.conflict, CODE.notFound], () => client.json('PUT', path, { body: manifest(namespace, record, version) })),
  };
}

/** What is stored; null for an answer with one of `codes`. */
async function unless(codes: readonly number[], ask: () => Promise<unknown>): Promise<StoredLease | null> {
  try {
    return stored(await ask());
  } catch (error) {
    if (isApiError(error, ...codes)) return null;
    throw error;
  }
}

/** Without a version it would replace whatever another has written. */
const manifest = (namespace: string, record: LeaseRecord, resourceVersion?: string) => ({
  apiVersion: 'coordination.k8s.io/v1',
  kind: 'Lease',
  metadata: { name: LEASE_NAME, namespace, ...(resourceVersion === undefined ? {} : { resourceVersion }) },
  spec: {
    holderIdentity: record.holder,
    leaseDurationSeconds: record.durationSeconds,
    acquireTime: microTime(record.acquiredAt),
    renewTime: microTime(record.renewedAt),
    leaseTransitions: record.transitions,
  },
});

/** A MicroTime, which must have six digits. */
const microTime = (ms: number): string => new Date(ms).toISOString().replace('Z', '000Z');

function stored(answer: unknown): StoredLease {
  if (!Value.Check(Lease, answer)) throw new Error('the API server answered with something that is no Lease');
  const { metadata, spec = {} } = answer;
  return {
    version: metadata.resourceVersion,
    record: {
      holder: spec.holderIdentity ?? '',
      durationSeconds: spec.leaseDurationSeconds ?? 0,
      acquiredAt: millisecondsOf(spec.acquireTime),
      renewedAt: millisecondsOf(spec.renewTime),
      transitions: spec.leaseTransitions ?? 0,
    },
  };
}

/** 0: there is none, or none that can be read. */
const millisecondsOf = (time: string | undefined): number => Date.parse(time ?? '') || 0;
