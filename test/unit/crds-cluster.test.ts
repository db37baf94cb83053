import t from 'tap';
import { stringify } from 'yaml';
import { ManifestError, parseManifest } from '../../crds/parse.ts';
import { violations } from '../../crds/rules.ts';
import { RULES } from '../../crds/json-schema/fields.ts';
import { Job } from '../../crds/schema/job.ts';
import { MUTABLE } from '../../crds/schema/lifecycle.ts';
import type { SchemaNode } from '../../crds/json-schema/node.ts';
import { Spec } from '../../crds/schema/spec.ts';
import { validJob } from '../fixtures/invalid-jobs.ts';

const parsed = (spec: object) => {
  const job = validJob();
  return parseManifest(stringify({ ...job, spec: { ...job.spec, ...spec } }), 'job.yaml').spec;
};

const refused = (spec: object) => {
  try {
    parsed(spec);
  } catch (error) {
    if (error instanceof ManifestError) return error.problems.map(({ path, message }) => `${path}: ${message}`);
    throw error;
  }
  return [];
};

t.test('fields about pods are validated as by Kubernetes', (t) => {
  const affinity = {
    nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 1, preference: {} }] },
  };
  const server = {
    image: 'registry.example:5000/fedbiot@sha256:0123456789abcdef',
    imagePullPolicy: 'IfNotPresent',
    imagePullSecrets: [{ name: 'registry' }],
    resources: {
      limits: { 'nvidia.com/gpu': 1, cpu: '1500m', memory: '.5Gi', 'ephemeral-storage': '1e9' },
      requests: { cpu: 1 },
    },
    nodeSelector: { 'kubernetes.io/arch': 'amd64', empty: '' },
    tolerations: [
      { operator: 'Exists' },
      { key: 'a', value: 'b' },
      { key: 'a', effect: 'NoExecute', tolerationSeconds: 0 },
    ],
    affinity,
    priorityClassName: 'high.priority',
    runtimeClassName: 'nvidia',
    env: [
      { name: 'A', value: '' },
      { name: 'B', valueFrom: { secretKeyRef: { name: 's', key: 'a.b' } } },
      { name: 'C', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
    ],
    podTemplate: {
      metadata: { labels: { team: 'a' }, annotations: { 'example.com/a': 'any text\n' } },
      spec: {
        containers: [{ name: 'worker', volumeMounts: [{ name: 'extra', mountPath: '/extra', readOnly: true }] }],
        initContainers: [{ name: 'proxy', image: 'p', restartPolicy: 'Always', ports: [{ containerPort: 1 }] }],
        volumes: [{ name: 'extra', csi: { driver: 'd', volumeAttributes: { a: 'b' } } }],
        topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'zone' }],
        schedulerName: 'volcano',
        terminationGracePeriodSeconds: 300,
        hostAliases: [{ ip: '10.0.0.1', hostnames: ['a'] }],
      },
    },
  };
  t.strictSame(parsed({ server }).server, server, 'nothing is lost, nothing added');
  t.strictSame(parsed({ client: { ...server, pods: 4 } }).client, { ...server, pods: 4, parallelClients: 1 });
  t.end();
});

t.test('volumes, Redis and lifecycle', (t) => {
  const { output: _, ...rest } = validJob().spec.volumes;
  t.strictSame(parsed({ volumes: rest }).volumes, rest);
  t.strictSame(parsed({ volumes: { output: { claim: {} } } }).volumes, { output: { claim: {} } });
  t.strictSame(parsed({ volumes: { clientData: { image: { reference: 'data:1' } } } }).volumes, {
    clientData: { image: { reference: 'data:1' } },
  });
  t.strictSame(parsed({}).redis, { urlFrom: { name: 'redis', key: 'url' } });
  t.match(parsed({ managedBy: 'kueue.x-k8s.io/multikueue', suspend: true, ttlSecondsAfterFinished: 0 }), {
    managedBy: 'kueue.x-k8s.io/multikueue',
    suspend: true,
    ttlSecondsAfterFinished: 0,
    backoffLimit: 6,
  });
  const { volumes, managedBy, activeDeadlineSeconds, startDeadlineSeconds } = parsed({
    volumes: null,
    managedBy: null,
  });
  t.strictSame(
    [volumes, managedBy, activeDeadlineSeconds, startDeadlineSeconds],
    Array(4).fill(undefined),
    'null is left out',
  );
  t.strictSame(
    parsed({ server: { nodeSelector: { a: 'b', c: null } } }).server,
    { nodeSelector: { a: 'b' } },
    'in a map too',
  );
  t.end();
});

t.test('messages', (t) => {
  const limits = (limits: object) => refused({ server: { resources: { limits } } });
  t.strictSame(limits({ cpu: 0.5 }), ['spec.server.resources.limits.cpu: must be an integer or a string, not 0.5']);
  t.strictSame(limits({ cpu: -1 }), ['spec.server.resources.limits.cpu: must be at least 0, not -1']);
  t.match(limits({ memory: '1GB' }), ['spec.server.resources.limits.memory: must match ']);
  t.strictSame(refused({ server: { env: [{ name: 'A' }, { name: 'A' }] } }), [
    'spec.server.env[1]: has the same name as an item before it',
  ]);
  t.strictSame(refused({ server: { nodeSelecter: {} } }), [
    'spec.server.nodeSelecter: unknown field; did you mean nodeSelector?',
  ]);
  t.strictSame(
    refused({ server: { constructor: null } }),
    ['spec.server.constructor: unknown field'],
    'no name is special',
  );
  const many = Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`a${i}`, 'b']));
  t.strictSame(refused({ server: { nodeSelector: many } }), ['spec.server.nodeSelector: must have at most 32 entries']);
  t.end();
});

t.test('all fields of the spec except three are immutable', (t) => {
  const node: SchemaNode = Spec;
  const names = Object.keys(node.properties ?? {});
  const rules = (node[RULES] ?? []).filter(({ rule }) => rule.includes('oldSelf'));
  t.strictSame(MUTABLE, ['suspend', 'ttlSecondsAfterFinished', 'activeDeadlineSeconds']);
  t.strictSame(
    rules.map(({ fieldPath }) => fieldPath),
    names.filter((name) => !MUTABLE.includes(name)).map((name) => `.${name}`),
  );
  for (const { message, fieldPath = '' } of rules) t.match(message, `${fieldPath.slice(1)} cannot be changed`);
  const optional = names.filter((name) => !(node.required ?? []).includes(name) && !MUTABLE.includes(name));
  for (const name of optional)
    t.ok(
      rules.some(({ rule }) => rule.startsWith(`has(self.${name}) == has(oldSelf.${name}) &&`)),
      name,
    );
  t.end();
});

t.test('rules about changes are the API server’s alone', (t) => {
  const schema = {
    type: 'object',
    [RULES]: [
      { rule: 'self.a == oldSelf.a', message: 'no' },
      { rule: 'self.oldSelfish == 2', message: 'yes' },
    ],
  };
  t.strictSame(violations(schema, { a: 1, oldSelfish: 1 }, []), [{ path: [], message: 'yes' }]);
  t.strictSame(violations(Job, parseManifest(stringify(validJob()), 'job.yaml'), []), []);
  t.end();
});
