// What a holder of the operator's token can and cannot do: the chart's admission policy on a real API server.
import t from 'tap';
import { RESOURCE } from '../../operator/objects/resources.ts';
import { RESTRICTED } from '../../operator/plan/worker-container.ts';
import { SYSTEM } from '../support/chart.ts';
import { noControllers } from '../support/control-plane.ts';
import { Helm, noHelm } from '../support/helm.ts';
import { startLab } from '../support/operator-lab.ts';
import { noRedis, startRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';

type Loose = Record<string, unknown>;

t.test('with the operator’s token', { skip: noControllers || noHelm || noRedis, timeout: 240_000 }, async (t) => {
  const lab = await startLab(t);
  const policies = (await new Helm(t).template({})).filter(({ kind }) => kind.startsWith('ValidatingAdmissionPolicy'));
  t.equal(policies.length, 2);
  for (const policy of policies) await lab.apply(policy);
  const kubeconfig = lab.plane.kubeconfigFor(await lab.tokenOf(SYSTEM, 'fedbiot-operator'));
  const asOperator = (args: readonly string[], object?: object) =>
    lab.plane.kubectl([`--kubeconfig=${kubeconfig}`, ...args], object);
  const namespace = await lab.namespace('team');
  await lab.kubectl('create', 'serviceaccount', 'admin', '--namespace', namespace);
  const meta = (name: string, more: object = {}) => ({ name, namespace, ...more });
  const tokenSecret = (more: object = {}) => ({
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'kubernetes.io/service-account-token',
    metadata: meta('tiny-credentials', { annotations: { 'kubernetes.io/service-account.name': 'admin' }, ...more }),
  });
  await until('the policy counts', 60, () =>
    asOperator(['create', '--dry-run=server', '--filename=-'], tokenSecret()).then(
      () => null,
      () => true,
    ),
  );

  const operator = await lab.operator((await startRedis(t)).url);
  await operator.logged('this replica leads');
  await lab.createJob(namespace, 'tiny');
  const pod = await lab.pod(namespace, 'tiny', 'server');
  t.equal(
    (await lab.pod(namespace, 'tiny', 'client')).status?.phase,
    'Pending',
    'the policy admits an honest job’s pods',
  );
  t.equal((await lab.objectsOf(namespace, 'tiny')).length, 8);
  await lab.createJob(namespace, 'named');
  await lab.kubectl(
    'patch',
    'fbj',
    'named',
    '--namespace',
    namespace,
    '--type=merge',
    '--patch={"spec":{"suspend":true}}',
  );
  await lab.jobIn('Suspended', namespace, 'named');
  await until('its pods are gone', 60, async () => ((await lab.pods(namespace, 'named')).length === 0 ? true : null));

  const get = async (kind: string, name: string): Promise<Loose> =>
    JSON.parse(await lab.kubectl('get', kind, name, '--namespace', namespace, '--output=json'));
  const honest = await get('job', 'tiny-server');
  const { labels, ownerReferences } = Object(honest['metadata']);
  const own = { labels, ownerReferences };
  const refused = async (what: string, args: readonly string[], object: object | undefined, words: RegExp) =>
    t.rejects(asOperator([...args, `--namespace=${namespace}`], object), words, what);
  const creating = (what: string, object: object, words: RegExp) =>
    refused(what, ['create', '--dry-run=server', '--filename=-'], object, words);

  t.test('two attempts to become the cluster’s administrator', async (t) => {
    await creating('a Secret with another account’s token', tokenSecret(), /its own labels/);
    await lab.kubectl('delete', 'secret', 'tiny-credentials', '--namespace', namespace);
    await creating(
      'with the operator’s labels, in the place of a job’s',
      tokenSecret(own),
      /of type Opaque|already exists/,
    );
    await creating(
      'with the labels of a job that is none',
      tokenSecret({ ...own, labels: { ...labels, 'fedbiot.io/job': 'x' } }),
      /controller/,
    );
    t.equal(
      await lab.kubectl(
        'get',
        'secrets',
        '--namespace',
        namespace,
        '--field-selector=type=kubernetes.io/service-account-token',
        '--output=name',
      ),
      '',
    );
    t.end();
  });

  const job = (change: (pod: Loose) => Loose, annotations: object = {}): object => {
    const { template } = Object(honest['spec']);
    const spec = {
      backoffLimit: 0,
      template: { metadata: { labels, annotations }, spec: change(structuredClone(template.spec)) },
    };
    // Under a name that does not exist yet.
    const fresh = {
      ...own,
      labels: { ...labels, 'fedbiot.io/job': 'next' },
      ownerReferences: ownerReferences.map((owner: Loose) => ({ ...owner, name: 'next' })),
    };
    return { apiVersion: 'batch/v1', kind: 'Job', metadata: meta('next-server', fresh), spec };
  };
  const containers = (pod: Loose, change: object): Loose => ({
    ...pod,
    containers: (Array.isArray(pod['containers']) ? pod['containers'] : []).map((each: Loose) => ({
      ...each,
      ...change,
    })),
  });
  const insecure = (pod: Loose, change: object): Loose => ({
    ...pod,
    securityContext: { ...Object(pod['securityContext']), ...change },
  });

  t.test('pods with more permissions than a job’s', async (t) => {
    t.match(
      await asOperator(
        ['create', '--dry-run=server', '--filename=-'],
        job((pod) => pod),
      ),
      /next-server created/,
      'as a job’s are, they may be made',
    );
    const cases: readonly (readonly [string, (pod: Loose) => Loose, RegExp])[] = [
      ['another account', (pod) => ({ ...pod, serviceAccountName: 'admin' }), /account default/],
      ['by its old name', (pod) => ({ ...pod, serviceAccount: 'admin' }), /account default/],
      ['the token of default', (pod) => ({ ...pod, automountServiceAccountToken: true }), /without its token/],
      [
        'a token by a volume',
        (pod) => ({
          ...pod,
          volumes: [{ name: 'x', projected: { sources: [{ serviceAccountToken: { path: 't' } }] } }],
        }),
        /may mount only/,
      ],
      [
        'a folder of the node',
        (pod) => ({ ...pod, volumes: [{ name: 'x', hostPath: { path: '/' } }] }),
        /admissionPolicy\.hostPaths/,
      ],
      ['the node’s network', (pod) => ({ ...pod, hostNetwork: true }), /node's namespaces/],
      ['the node’s processes', (pod) => ({ ...pod, hostPID: true }), /node's namespaces/],
      ['root', (pod) => insecure(pod, { runAsNonRoot: false, runAsUser: 0 }), /run as root/],
      ['root’s group', (pod) => insecure(pod, { supplementalGroups: [0] }), /run as root/],
      ['no seccomp', (pod) => insecure(pod, { seccompProfile: { type: 'Unconfined' } }), /run as root/],
      [
        'privileges',
        (pod) =>
          containers(pod, { securityContext: { ...RESTRICTED, capabilities: { drop: ['ALL'], add: ['SYS_ADMIN'] } } }),
        /may not have privileges/,
      ],
      ['nothing said of them', (pod) => containers(pod, { securityContext: {} }), /may not have privileges/],
      [
        'an init container with privileges',
        (pod) => ({
          ...pod,
          initContainers: [
            {
              name: 'x',
              image: 'x',
              securityContext: { ...RESTRICTED, capabilities: { drop: ['ALL'], add: ['SYS_ADMIN'] } },
            },
          ],
        }),
        /may not have privileges/,
      ],
      [
        'a port of the node',
        (pod) => containers(pod, { ports: [{ containerPort: 80, hostPort: 80 }] }),
        /may not have privileges/,
      ],
    ];
    for (const [what, change, words] of cases)
      await creating(
        what,
        job((pod) => ({ ...containers(change(pod), { volumeMounts: [] }) })),
        words,
      );
    await creating(
      'AppArmor switched off',
      job((pod) => pod, { 'container.apparmor.security.beta.kubernetes.io/worker': 'unconfined' }),
      /AppArmor/,
    );
  });

  t.test('objects of others', async (t) => {
    const configMap = (name: string, more: object = {}) => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: meta(name, more),
      data: { a: 'b' },
    });
    await creating('an object of no job', configMap('x'), /its own labels/);
    await creating('of another name', configMap('aws-auth', own), /the names that it gives/);
    await creating('of no owner', configMap('tiny-job', { labels }), /controller|already exists/);
    await lab.create(RESOURCE.configMap, namespace, { metadata: { name: 'theirs-job' }, data: { a: 'b' } });
    const steal = JSON.stringify({
      metadata: {
        labels: { ...labels, 'fedbiot.io/job': 'theirs' },
        ownerReferences: [{ ...ownerReferences[0], name: 'theirs' }],
      },
      data: { a: 'c' },
    });
    await refused(
      'a foreign ConfigMap, adopted in the same patch',
      ['patch', 'configmap', 'theirs-job', '--type=merge', `--patch=${steal}`],
      undefined,
      /controller/,
    );
    const external = JSON.stringify({ spec: { externalIPs: ['192.0.2.1'] } });
    await refused(
      'a Service that takes others’ traffic',
      ['patch', 'service', 'tiny-server', '--type=merge', `--patch=${external}`],
      undefined,
      /within the cluster/,
    );
    await lab.create(RESOURCE.pod, namespace, {
      metadata: { name: 'theirs' },
      spec: { containers: [{ name: 'a', image: 'a' }] },
    });
    await refused('a pod of somebody', ['delete', 'pod', 'theirs', '--wait=false'], undefined, /its own labels/);
    t.match(
      await asOperator(['delete', 'pod', pod.metadata.name, '--namespace', namespace, '--dry-run=server']),
      /deleted/,
      'its own it may replace',
    );
    await lab.create(RESOURCE.job, namespace, {
      metadata: { name: 'theirs' },
      spec: { suspend: true, template: { spec: { restartPolicy: 'Never', containers: [{ name: 'a', image: 'a' }] } } },
    });
    await refused('a Job of somebody', ['delete', 'job', 'theirs', '--wait=false'], undefined, /its own labels/);
  });

  t.test('the operator continues meanwhile', async (t) => {
    t.notMatch(operator.output, /ValidatingAdmissionPolicy/);
    const secret = await until('the operator creates the deleted Secret again', 60, () =>
      lab.get(RESOURCE.secret, namespace, 'tiny-credentials'),
    );
    t.match(secret, { metadata: { ownerReferences } });
  });
});
