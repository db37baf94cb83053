import { readFileSync } from 'node:fs';
import t from 'tap';
import { parse } from 'yaml';
import { jobReader } from '../../operator/kube/read-job.ts';
import type { JobEntry } from '../../operator/kube/read-job.ts';
import { BatchJob, Pod, reader, WholeObject } from '../../operator/kube/read-object.ts';
import { RESOURCE } from '../../operator/objects/resources.ts';
import { createLog } from '../../operator/process/log.ts';

const kept = {
  name: 'tune',
  namespace: 'lab',
  uid: 'u-1',
  resourceVersion: '7',
  generation: 1,
  creationTimestamp: '2026-01-01T00:00:00Z',
};
const metadata = {
  ...kept,
  managedFields: [{ manager: 'kubectl' }],
  annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{}' },
};

t.test('the fields of an object that are kept', async (t) => {
  const read = reader(RESOURCE.secret, WholeObject);
  t.strictSame(
    read({
      metadata: { ...metadata, deletionTimestamp: null },
      data: { token: 'dA==' },
      type: 'Opaque',
      stringData: { a: 'b' },
    }),
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: kept,
      data: { token: 'dA==' },
      type: 'Opaque',
    },
  );
  for (const wrong of [
    null,
    'text',
    {},
    { metadata: {} },
    { metadata: { ...metadata, labels: { a: 1 } } },
    { metadata, data: [] },
  ])
    t.equal(read(wrong), null);
});

const nested = (levels: number): unknown => JSON.parse(`${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`);

t.test('an object nested too deep in a field that is read is refused; depth elsewhere does not matter', async (t) => {
  const read = reader(RESOURCE.service, WholeObject);
  for (const levels of [63, 64, 3_000, 100_000]) {
    t.equal(
      read({ metadata, spec: nested(levels) }) !== null,
      levels === 63,
      `${levels} levels and the object around them`,
    );
    t.ok(read({ metadata: { ...metadata, managedFields: [{ fieldsV1: nested(levels) }] }, status: nested(levels) }));
  }
  const { store } = world();
  for (const levels of [3_000, 100_000]) {
    const entry = store(
      stored({ spec: { ...manifest.spec, client: { affinity: nested(levels) } } }, String(levels), levels),
    );
    t.match(entry?.unreadable?.problem, /^spec\.client\.affinity\.a\.a\.a: is nested more than 64 levels deep$/);
    t.ok(store(stored({ metadata: { ...metadata, managedFields: [{ fieldsV1: nested(levels) }] } }))?.job);
    t.ok(
      store(
        stored({
          status: {
            phase: 'Running',
            conditions: [
              {
                type: 'A',
                status: 'True',
                reason: 'A',
                message: '',
                lastTransitionTime: '2026-01-01T00:00:00Z',
                more: nested(levels),
              },
            ],
          },
        }),
      )?.job,
    );
  }
});

t.test('objects larger than any that the operator creates are not kept', async (t) => {
  const read = reader(RESOURCE.configMap, WholeObject);
  const large = 'x'.repeat(200_000);
  t.ok(read({ metadata, data: { a: 'x'.repeat(100_000) } }));
  t.equal(read({ metadata, data: { a: large } }), null);
  t.ok(read({ metadata: { ...metadata, annotations: { a: large } }, data: {} }), 'what is not kept is not counted');
  const { store } = world();
  const labels = Object.fromEntries(Array.from({ length: 4000 }, (_, index) => [`label-${index}`, 'x'.repeat(20)]));
  for (const [name, change] of Object.entries({
    labels: { metadata: { ...metadata, labels } },
    spec: { spec: { ...manifest.spec, client: { podTemplate: { spec: { nodeSelector: labels } } } } },
  })) {
    const entry = store(stored(change, name, 9));
    t.match(entry?.unreadable?.problem, /larger than a job may be/, name);
    t.ok(JSON.stringify(entry).length < 10_000, name);
  }
});

t.test('a Job without its template, a pod without its spec, times that are null', async (t) => {
  const job = reader(
    RESOURCE.job,
    BatchJob,
  )({
    metadata,
    spec: { suspend: true, template: { spec: {} } },
    status: {
      active: 1,
      startTime: null,
      uncountedTerminatedPods: {},
      conditions: [{ type: 'Failed', status: 'True', lastProbeTime: null }],
    },
  });
  t.match(job, { spec: { suspend: true }, status: { active: 1, conditions: [{ type: 'Failed', status: 'True' }] } });
  t.strictSame([Object.keys(job?.spec ?? {}), Object.keys(job?.status ?? {})], [['suspend'], ['active', 'conditions']]);
  const pod = reader(
    RESOURCE.pod,
    Pod,
  )({
    metadata,
    spec: { containers: [] },
    status: {
      phase: 'Failed',
      containerStatuses: [
        { name: 'worker', ready: false, state: { terminated: { exitCode: 137, startedAt: null, finishedAt: null } } },
      ],
    },
  });
  t.strictSame(pod?.status, {
    phase: 'Failed',
    containerStatuses: [{ name: 'worker', state: { terminated: { exitCode: 137 } } }],
  });
});

const manifest: { apiVersion: string; kind: string; spec: object } = parse(
  readFileSync(new URL('../../examples/quickstart.yaml', import.meta.url), 'utf8'),
);

function world() {
  const seen = { log: '' };
  const entries = new Map<string, JobEntry>();
  const read = jobReader(
    (namespace, name) => entries.get(`${namespace}/${name}`) ?? null,
    createLog('info', { write: (text) => void (seen.log += text) }),
  );
  const store = (value: unknown) => {
    const entry = read(value);
    if (entry !== null) entries.set('lab/tune', entry);
    return entry;
  };
  return { seen, store };
}

const stored = (changes: object = {}, version = '7', generation = 1) => ({
  apiVersion: 'fedbiot.io/v1alpha1',
  kind: 'FedBiOTJob',
  metadata: { ...metadata, resourceVersion: version, generation },
  spec: manifest.spec,
  ...changes,
});

t.test('a job, with every default, and its status with what is known of it', async (t) => {
  const { store } = world();
  const entry = store(stored({ status: { phase: 'Running', conditions: [], later: 1, startTime: null } }));
  t.match(entry?.job, { spec: { suspend: false, adapter: { placement: 'Last' } }, metadata: { resourceVersion: '7' } });
  t.strictSame(entry?.job?.status, { phase: 'Running', conditions: [] });
  t.equal(entry?.known, entry?.job);
});

t.test('the spec is read again only with its generation', async (t) => {
  const { store } = world();
  const first = store(stored())?.job;
  t.ok(first);
  const second = store(stored({ status: { phase: 'Running' } }, '8'))?.job;
  t.equal(second?.spec, first?.spec);
  t.equal(second?.status?.phase, 'Running');
  const third = store(stored({ spec: { ...manifest.spec, suspend: true } }, '9', 2))?.job;
  t.equal(third?.spec.suspend, true);
});

t.test('an invalid job is reported once, and ignored', async (t) => {
  const { seen, store } = world();
  const good = store(stored());
  seen.log = '';
  const bad = () => stored({ spec: { ...manifest.spec, rounds: 3 } }, '8', 2);
  const entry = store(bad());
  t.match(entry, { job: null, known: good?.job, unreadable: { isOurs: true, status: {}, problem: /spec\.rounds/ } });
  t.match(seen.log, /"namespace":"lab","job":"tune","problem":"spec\.rounds: unknown field/);
  seen.log = '';
  store(bad());
  t.equal(seen.log, '');
  t.match(store(stored({ status: { phase: 'Sleeping' } }, '9'))?.job, null);
  t.match(seen.log, /status/);
  t.ok(store(stored({}, '10'))?.job, 'until it is');
  t.equal(store('text'), null);
  const others = store(
    stored(
      { spec: { managedBy: 'kueue.x-k8s.io/multikueue', rounds: 3 }, status: { phase: 'Running', message: 'x' } },
      '11',
      3,
    ),
  );
  t.match(others?.unreadable, { isOurs: false, status: { phase: 'Running' } });
});
