import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ApiError } from '../../operator/kube/api-error.ts';
import { kubernetesLease } from '../../operator/leader/kubernetes-lease.ts';
import { leaseNamespace } from '../../operator/leader/lease-namespace.ts';
import { leadingPorts } from '../../operator/leader/leading-ports.ts';
import type { LeaseRecord } from '../../operator/leader/lease.ts';
import { jobObject } from '../support/planned-job.ts';
import { ReconcileWorld } from '../support/reconcile-world.ts';

const record: LeaseRecord = {
  holder: 'a',
  durationSeconds: 15,
  acquiredAt: 1_800_000_000_123,
  renewedAt: 1_800_000_002_000,
  transitions: 2,
};

/** An API server with one response for every request, which stores the requests. */
function serverOf(answer: () => unknown) {
  const sent: unknown[] = [];
  const store = kubernetesLease(
    {
      json: async (method, path, request) => {
        sent.push([method, path, request?.body]);
        return answer();
      },
    },
    'fedbiot-system',
  );
  return { sent, store };
}

const spec = {
  holderIdentity: 'a',
  leaseDurationSeconds: 15,
  acquireTime: '2027-01-15T08:00:00.123000Z',
  renewTime: '2027-01-15T08:00:02.000000Z',
  leaseTransitions: 2,
};

t.test('a record is written and read as a Lease, with times to the microsecond', async (t) => {
  let answer: unknown = { metadata: { resourceVersion: '8' }, spec };
  const { sent, store } = serverOf(() => answer);
  t.strictSame(await store.replace('7', record), { version: '8', record });
  await store.create(record);
  const collection = '/apis/coordination.k8s.io/v1/namespaces/fedbiot-system/leases';
  const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', spec };
  const metadata = { name: 'fedbiot-operator', namespace: 'fedbiot-system' };
  t.strictSame(sent, [
    ['PUT', `${collection}/fedbiot-operator`, { ...lease, metadata: { ...metadata, resourceVersion: '7' } }],
    ['POST', collection, { ...lease, metadata }],
  ]);
  answer = { metadata: { resourceVersion: '9' } };
  t.match(await store.read(), { record: { holder: '', transitions: 0 } }, 'an empty one is nobody’s');
  answer = { metadata: {}, spec };
  await t.rejects(store.read(), { message: /not a Lease/ });
});

t.test('labels and annotations of others stay', async (t) => {
  const others = {
    labels: { 'app.kubernetes.io/managed-by': 'Helm' },
    annotations: { 'meta.helm.sh/release-name': 'fedbiot' },
  };
  const { sent, store } = serverOf(() => ({ metadata: { resourceVersion: '8', ...others }, spec }));
  await store.read();
  await store.replace('8', record);
  t.match(sent[1], ['PUT', /leases/, { metadata: { ...others, resourceVersion: '8' } }]);
});

t.test('conflicts, and a deleted lease', async (t) => {
  const failing = (code: number) =>
    serverOf(() => {
      throw new ApiError('PUT', code, { message: 'no' });
    }).store;
  t.equal(await failing(404).read(), null);
  t.equal(await failing(409).create(record), null);
  t.equal(await failing(409).replace('1', record), null);
  t.equal(await failing(404).replace('1', record), null);
  await t.rejects(failing(403).read(), { code: 403 });
  await t.rejects(failing(404).create(record), { code: 404 }, 'the namespace is missing');
  await t.rejects(failing(500).replace('1', record), { code: 500 });
});

t.test('the namespace of the lease', async (t) => {
  const file = join(t.testdir(), 'namespace');
  t.equal(leaseNamespace('chosen', file), 'chosen');
  t.throws(() => leaseNamespace(null, file), { name: 'UserError', hint: /--lease-namespace/ });
  writeFileSync(file, 'fedbiot-system\n');
  t.equal(leaseNamespace(null, file), 'fedbiot-system');
});

t.test('a replica that does not lead writes nothing, even in a reconcile that has begun', async (t) => {
  const world = new ReconcileWorld(jobObject());
  let leads = true;
  const ports = leadingPorts(world.ports, () => leads);
  const object = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 's', namespace: 'lab', labels: {}, ownerReferences: [] },
  };
  const reference = { apiVersion: 'v1', kind: 'Service', name: 's', namespace: 'lab' };
  const writes = [
    () => ports.create(object),
    () => ports.apply(object),
    () => ports.patchSpec(reference, {}),
    () => ports.deleteObject(reference),
    () => ports.updateStatus(jobObject(), {}),
  ];
  for (const write of writes) await write();
  t.equal(world.calls.length, writes.length);
  leads = false;
  for (const write of writes) await t.rejects(async () => void (await write()), { name: 'NotLeading' });
  t.equal(world.calls.length, writes.length);
  t.equal(ports.getJob('lab', 'tiny'), world.job, 'it may look');
});
