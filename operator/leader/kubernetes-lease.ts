import Type from 'typebox';
import type { Static } from 'typebox';
import Value from 'typebox/value';
import type { ApiClient } from '../kube/api-client.ts';
import { CODE, isApiError } from '../kube/api-error.ts';
import type { LeaseRecord, LeaseStore, StoredLease } from './lease.ts';

export const LEASE_NAME = 'fedbiot-operator';

const strings = Type.Optional(Type.Record(Type.String(), Type.String()));

const Lease = Type.Object({
  metadata: Type.Object({ resourceVersion: Type.String({ minLength: 1 }), labels: strings, annotations: strings }),
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

/** The lease as a Kubernetes object. Labels and annotations of others are kept: the chart finds its lease by them. */
export function kubernetesLease(client: Pick<ApiClient, 'json'>, namespace: string): LeaseStore {
  const collection = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
  const path = `${collection}/${LEASE_NAME}`;
  let others: object = {};
  const ask = async (method: string, at: string, body?: object): Promise<StoredLease> => {
    const answer = await client.json(method, at, body === undefined ? {} : { body });
    if (!Value.Check(Lease, answer)) throw new Error("the API server's answer is not a Lease");
    const { labels, annotations } = answer.metadata;
    others = { ...(labels && { labels }), ...(annotations && { annotations }) };
    return stored(answer);
  };
  return {
    read: () => unless([CODE.notFound], () => ask('GET', path)),
    create: (record) => unless([CODE.conflict], () => ask('POST', collection, manifest({ namespace }, record))),
    // Without a version it would overwrite another replica's record.
    replace: (resourceVersion, record) =>
      unless([CODE.conflict, CODE.notFound], () =>
        ask('PUT', path, manifest({ namespace, ...others, resourceVersion }, record)),
      ),
  };
}

/** The stored lease; null for an error with one of `codes`. */
async function unless(codes: readonly number[], ask: () => Promise<StoredLease>): Promise<StoredLease | null> {
  try {
    return await ask();
  } catch (error) {
    if (isApiError(error, ...codes)) return null;
    throw error;
  }
}

const manifest = (metadata: object, record: LeaseRecord) => ({
  apiVersion: 'coordination.k8s.io/v1',
  kind: 'Lease',
  metadata: { name: LEASE_NAME, ...metadata },
  spec: {
    holderIdentity: record.holder,
    leaseDurationSeconds: record.durationSeconds,
    acquireTime: microTime(record.acquiredAt),
    renewTime: microTime(record.renewedAt),
    leaseTransitions: record.transitions,
  },
});

/** Kubernetes' MicroTime, which requires six digits. */
const microTime = (ms: number): string => new Date(ms).toISOString().replace('Z', '000Z');

function stored({ metadata, spec = {} }: Static<typeof Lease>): StoredLease {
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

/** 0: the time is missing or invalid. */
const millisecondsOf = (time: string | undefined): number => Date.parse(time ?? '') || 0;
