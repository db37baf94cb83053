import t from 'tap';
import { ClientPods, ServerPod } from '../../crds/schema/pods.ts';
import { PodTemplate } from '../../crds/schema/pod-template.ts';
import type { ClientPodSpec, PodTemplateSpec, ServerPodSpec } from '../../crds/types.ts';
import { gpusOf } from '../../operator/plan/gpu.ts';
import { podTemplate } from '../../operator/plan/pod.ts';
import { clientsJob, serverJob } from '../../operator/plan/worker-job.ts';
import { jobObject, SETTINGS } from '../support/planned-job.ts';

/**
 * A value for each field of the pod that is seen in no pod otherwise, and how it is found there where it does not stay
 * as it is.
 */
type Samples<T> = { readonly [Field in keyof Required<T>]: readonly [value: unknown, found?: string] };

const PLACEMENT = {
  imagePullSecrets: [[{ name: 'registry' }]],
  nodeSelector: [{ disk: 'fast' }],
  tolerations: [[{ key: 'gpu', operator: 'Exists' }]],
  affinity: [{ nodeAffinity: { x: 1 } }],
  priorityClassName: ['urgent'],
  runtimeClassName: ['nvidia'],
} as const;

const resources = { limits: { cpu: '3' }, requests: { cpu: '2' }, claims: [{ name: 'gpu', request: 'one' }] };
const env = [{ name: 'COLOR', value: 'green' }];

const SERVER: Samples<ServerPodSpec> = {
  ...PLACEMENT,
  image: ['other:1'],
  imagePullPolicy: ['Always'],
  resources: [resources],
  env: [env, JSON.stringify(env[0])],
  podTemplate: [{ metadata: { labels: { team: 'blue' } } }, '"team":"blue"'],
};
const CLIENT: Samples<ClientPodSpec> = {
  ...SERVER,
  pods: [17, '"parallelism":17'],
  minPods: [1],
  parallelClients: [13],
};

const POD: Samples<NonNullable<PodTemplateSpec['spec']>> = {
  ...PLACEMENT,
  containers: [
    [{ name: 'worker', resources, env, volumeMounts: [{ name: 'more', mountPath: '/more' }] }],
    '"mountPath":"/more"',
  ],
  initContainers: [[{ name: 'before', image: 'busybox', resources }], '"name":"before"'],
  volumes: [[{ name: 'more', emptyDir: {} }], '{"name":"more","emptyDir":{}}'],
  preemptionPolicy: ['Never'],
  resourceClaims: [[{ name: 'gpu', resourceClaimTemplateName: 'one-gpu' }]],
  topologySpreadConstraints: [[{ topologyKey: 'zone', maxSkew: 1 }]],
  schedulerName: ['other'],
  terminationGracePeriodSeconds: [77],
  dnsPolicy: ['Default'],
  dnsConfig: [{ nameservers: ['1.1.1.1'] }],
  hostAliases: [[{ ip: '10.0.0.1', hostnames: ['a'] }]],
};

/** Fields that pods read from the manifest, or Kueue from the Workload, and that their Jobs do not contain. */
const NOT_IN_JOBS = ['parallelClients', 'minPods'];

t.test('every field of a pod that the schema accepts reaches the pod', async (t) => {
  for (const [role, { properties }, samples] of [
    ['server', ServerPod, SERVER],
    ['client', ClientPods, CLIENT],
  ] as const) {
    t.strictSame(Object.keys(samples).sort(), Object.keys(properties).sort());
    for (const [field, [value, found]] of Object.entries(samples)) {
      if (NOT_IN_JOBS.includes(field)) continue;
      const job = jobObject({ [role]: { [field]: value } });
      const made = JSON.stringify((role === 'server' ? serverJob : clientsJob)(job, SETTINGS).spec);
      const expected = found ?? `"${field}":${JSON.stringify(value)}`;
      t.ok(made.includes(expected), `${role}.${field}: ${expected}`);
      t.notOk(
        JSON.stringify((role === 'server' ? serverJob : clientsJob)(jobObject(), SETTINGS).spec).includes(expected),
        'and it was not there before',
      );
    }
  }
});

t.test('every field of a podTemplate reaches the pod', async (t) => {
  t.strictSame(Object.keys(PodTemplate.properties), ['metadata', 'spec']);
  t.strictSame(Object.keys(POD).sort(), Object.keys(PodTemplate.properties.spec.properties).sort());
  for (const role of ['server', 'client'] as const) {
    for (const [field, [value, found]] of Object.entries(POD)) {
      const pod = JSON.stringify(
        podTemplate(jobObject({ [role]: { podTemplate: { spec: { [field]: value } } } }), role, SETTINGS),
      );
      const expected = found ?? `"${field}":${JSON.stringify(value)}`;
      t.ok(pod.includes(expected), `${role}.podTemplate.spec.${field}: ${expected}`);
    }
  }
});

t.test('devices of dynamic resource allocation', async (t) => {
  const claimed = (name: string) => ({
    resources: { claims: [{ name }] },
    podTemplate: { spec: { resourceClaims: [{ name, resourceClaimTemplateName: 'one' }] } },
  });
  const [gpus, nics] = [jobObject({ client: claimed('gpu-0') }), jobObject({ client: claimed('nic') })];
  const { spec } = podTemplate(gpus, 'client', SETTINGS);
  t.match(spec, {
    resourceClaims: [{ name: 'gpu-0', resourceClaimTemplateName: 'one' }],
    containers: [{ resources: { claims: [{ name: 'gpu-0' }] } }],
  });
  t.strictSame(spec.containers[0]?.args, ['client', '--provider', 'cuda'], 'it computes on them');
  t.equal(gpusOf(gpus, 'client'), 1);
  t.strictSame(podTemplate(nics, 'client', SETTINGS).spec.containers[0]?.args, ['client'], 'not on anything else');
  const both = jobObject({
    client: {
      ...claimed('nic'),
      podTemplate: { spec: { containers: [{ name: 'worker', resources: { claims: [{ name: 'gpu' }] } }] } },
    },
  });
  t.match(
    podTemplate(both, 'client', SETTINGS).spec.containers[0]?.resources,
    { claims: [{ name: 'nic' }, { name: 'gpu' }] },
    'claims are merged by name',
  );
});
