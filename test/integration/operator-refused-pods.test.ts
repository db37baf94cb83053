// Pods that a real API server does not let the Job controller create: status and events say so for each role, in its
// words. What kubectl shows of such jobs, and waits for.
import t from 'tap';
import { noControllers } from '../support/control-plane.ts';
import { startLab } from '../support/operator-lab.ts';
import { noRedis, startRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';

const SECONDS = 60;

const PODS = { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] };
const ADMISSION = 'admissionregistration.k8s.io/v1';

interface Guard {
  readonly what: string;
  /** The API server's words. */
  readonly refused: RegExp;
  /** Labels of the namespace. */
  readonly labels?: Readonly<Record<string, string>>;
  objects(namespace: string): readonly object[];
}

const selector = (namespace: string) => ({ matchLabels: { 'kubernetes.io/metadata.name': namespace } });

const GUARDS: Readonly<Record<string, Guard>> = {
  quota: {
    what: 'a ResourceQuota',
    refused: /exceeded quota: team, requested: pods=1, used: pods=0, limited: pods=0/,
    objects: (namespace) => [
      { apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name: 'team', namespace }, spec: { hard: { pods: '0' } } },
    ],
  },
  limits: {
    what: 'a LimitRange',
    refused: /maximum memory usage per Container is 1Gi, but limit is 2Gi/,
    objects: (namespace) => [
      {
        apiVersion: 'v1',
        kind: 'LimitRange',
        metadata: { name: 'team', namespace },
        spec: { limits: [{ type: 'Container', max: { memory: '1Gi' } }] },
      },
    ],
  },
  security: {
    what: 'the pod security standard',
    labels: { 'pod-security.kubernetes.io/enforce': 'restricted' },
    refused: /violates PodSecurity "restricted:latest": restricted volume types/,
    objects: () => [],
  },
  policy: {
    what: 'an admission policy',
    refused: /every pod needs the label team/,
    objects: (namespace) => [
      {
        apiVersion: ADMISSION,
        kind: 'ValidatingAdmissionPolicy',
        metadata: { name: namespace },
        spec: {
          matchConstraints: { resourceRules: [PODS] },
          validations: [{ expression: "'team' in object.metadata.labels", message: 'every pod needs the label team' }],
        },
      },
      {
        apiVersion: ADMISSION,
        kind: 'ValidatingAdmissionPolicyBinding',
        metadata: { name: namespace },
        spec: {
          policyName: namespace,
          validationActions: ['Deny'],
          matchResources: { namespaceSelector: selector(namespace) },
        },
      },
    ],
  },
  webhook: {
    what: 'a webhook that does not answer',
    refused: /failed calling webhook "check\.example\.org"/,
    objects: (namespace) => [
      {
        apiVersion: ADMISSION,
        kind: 'ValidatingWebhookConfiguration',
        metadata: { name: namespace },
        webhooks: [
          {
            name: 'check.example.org',
            clientConfig: { url: 'https://127.0.0.1:1/' },
            rules: [PODS],
            sideEffects: 'None',
            admissionReviewVersions: ['v1'],
            namespaceSelector: selector(namespace),
          },
        ],
      },
    ],
  },
};

/** A pod that each guard refuses. */
const PROBE = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'probe', labels: {} },
  spec: { containers: [{ name: 'a', image: 'a', resources: { limits: { memory: '2Gi' } } }] },
};

const resources = { limits: { memory: '2Gi' } };
/** The restricted standard does not allow folders of the node. */
const hostPath = { hostPath: { path: '/data' } };
const SPEC = {
  server: { resources },
  client: { resources, pods: 2 },
  volumes: { publicData: hostPath, clientData: { hostPath: { path: '/clients' } } },
};

t.test('pods that may not be created', { skip: noControllers || noRedis }, async (t) => {
  const lab = await startLab(t);
  const operator = await lab.operator((await startRedis(t)).url);
  await operator.logged('this replica leads');
  const conditionOf = async (namespace: string, name: string, type: string) =>
    (await lab.job(namespace, name))?.status?.conditions?.find((each) => each.type === type);

  t.test('each in its namespace', async (t) => {
    t.jobs = 5;
    for (const [name, { what, refused, labels = {}, objects }] of Object.entries(GUARDS)) {
      t.test(what, { buffered: true }, async (t) => {
        const namespace = await lab.namespace(`refused-${name}`, labels);
        for (const object of objects(namespace)) await lab.apply(object);
        // A policy or a quota takes effect with a delay.
        await until('it refuses', SECONDS, () =>
          lab.plane.kubectl(['create', '--namespace', namespace, '--dry-run=server', '--filename=-'], PROBE).then(
            () => null,
            () => true,
          ),
        );
        await lab.createJob(namespace, 'tune', SPEC);
        await lab.createJob(namespace, 'late', { ...SPEC, startDeadlineSeconds: 3 });
        for (const [type, job] of [
          ['ServerReady', 'tune-server'],
          ['ClientsReady', 'tune-clients'],
        ] as const) {
          const condition = await until(`${type} says why`, SECONDS, async () => {
            const found = await conditionOf(namespace, 'tune', type);
            return found?.reason === 'FailedCreate' ? found : null;
          });
          t.match(condition, { status: 'False', message: refused });
          t.match(condition.message, new RegExp(`^${job}: Error creating: `));
          await until('an event', SECONDS, async () => {
            const told = await lab.kubectl('describe', 'fbj', 'tune', '--namespace', namespace);
            const lines = told.split('\n').filter((line) => line.includes('FailedCreate') && line.includes(job));
            return lines.some((line) => /Warning +FailedCreate/.test(line) && refused.test(line)) ? true : null;
          });
        }
        const { status } = await lab.jobIn('Pending', namespace, 'tune');
        t.match(status, { message: refused, clientPods: { ready: 0, wanted: 2 } });
        await lab.jobIn('Failed', namespace, 'late');
        t.match(await conditionOf(namespace, 'late', 'Failed'), {
          reason: 'StartDeadlineExceeded',
          message: refused,
        });
        t.match(await conditionOf(namespace, 'late', 'Stalled'), { status: 'True' });
      });
    }
  });

  t.test('kubectl shows ready client pods, and waits for a generation after the end', async (t) => {
    const namespace = await lab.namespace('shown');
    await lab.createJob(namespace, 'tune', { client: { pods: 1 } });
    await lab.play(namespace, 'tune', 'server', { kind: 'runs' });
    await lab.jobIn('Running', namespace, 'tune');
    await lab.play(namespace, 'tune', 'client', { kind: 'waits', reason: 'ErrImagePull', message: 'no such image' });
    await lab.jobThat('lacks clients', namespace, 'tune', ({ status }) =>
      /^The server pod runs\. tune-clients-\w+: no such image$/.test(status?.message ?? ''),
    );
    const shown = () => lab.kubectl('get', 'fbj', 'tune', '--namespace', namespace);
    t.match(await shown(), /CLIENTPODS[^]*tune +Running +0\/1/);
    const wait = (condition: string) =>
      lab.kubectl('wait', `--for=condition=${condition}`, '--timeout=30s', '--namespace', namespace, 'fbj/tune');
    await lab.play(namespace, 'tune', 'client', { kind: 'runs' });
    t.match(await wait('Ready'), /condition met/);
    t.match(await shown(), /tune +Running +1\/1/);
    t.match(await lab.kubectl('get', 'all', '--namespace', namespace), /fedbiotjob\.fedbiot\.io\/tune +Running/);
    await lab.play(namespace, 'tune', 'server', { kind: 'ends', exitCode: 0 });
    t.match(await wait('Succeeded'), /condition met/);
    const patch = '{"spec":{"ttlSecondsAfterFinished":600}}';
    await lab.kubectl('patch', 'fbj', 'tune', '--namespace', namespace, '--type=merge', '--patch', patch);
    t.match(await wait('Succeeded'), /condition met/);
    t.match(await wait('Ready'), /condition met/);
    t.match((await lab.job(namespace, 'tune'))?.status, { observedGeneration: 2 });
  });

  t.test('a job that the operator has not seen is not current', async (t) => {
    const namespace = await lab.namespace('unseen');
    await operator.end('SIGTERM');
    await lab.createJob(namespace, 'tune');
    t.strictSame((await lab.job(namespace, 'tune'))?.status, { observedGeneration: -1 });
  });
});
