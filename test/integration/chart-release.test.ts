// The chart's releases on a real API server: what an upgrade keeps, and what an uninstallation leaves. On a real node:
// test/e2e.
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import packageJson from '../../package.json' with { type: 'json' };
import { GROUP, KIND, VERSION } from '../../crds/schema/job.ts';
import { CHART, SYSTEM } from '../support/chart.ts';
import { noControllers, startControlPlane } from '../support/control-plane.ts';
import { Helm, noHelm } from '../support/helm.ts';
import { until } from '../support/until.ts';

const { version } = packageJson;

t.test('notes, install, upgrade, uninstall', { skip: noHelm || noControllers, timeout: 300_000 }, async (t) => {
  const { kubectl, kubeconfig, close } = await startControlPlane({ controllers: true });
  t.teardown(close);
  const helm = new Helm(t, kubeconfig);
  const release = ['fedbiot', CHART, `--namespace=${SYSTEM}`];
  const get = (what: string, field: string, namespace = SYSTEM) =>
    kubectl(['get', ...what.split(' '), `--namespace=${namespace}`, `--output=jsonpath={${field}}`]);
  const password = () => get('secret fedbiot-redis', '.data.password');

  await kubectl(['create', 'namespace', SYSTEM]);
  await kubectl(['label', 'namespace', SYSTEM, 'pod-security.kubernetes.io/enforce=restricted']);
  await kubectl(['create', 'namespace', 'demo']);
  // Someone has applied the CRD by hand, as the start of the control plane does.
  await t.rejects(
    helm.run(['install', ...release]),
    /cannot be imported|ownership/,
    'what is another’s stays another’s',
  );
  const notes = (values: object) => helm.run(['install', ...release, '--take-ownership', '--dry-run=server'], values);
  const plain = await notes({});
  t.match(plain, 'kubectl rollout status deployment/fedbiot-operator --namespace fedbiot-system');
  t.match(plain, 'helm test fedbiot --namespace fedbiot-system --timeout 660s');
  t.match(plain, 'kubectl apply --namespace demo -f examples/quickstart.yaml');
  t.match(plain, 'No images are published');
  t.match(plain, 'data-fedbiot-redis-0, which is kept');
  t.match(
    await notes({ watchNamespaces: ['demo', 'team-b'] }),
    /watches demo, team-b[^]*kubectl apply --namespace demo/,
  );
  t.match(
    await notes({ redis: { enabled: false }, crds: { enabled: false } }),
    /There is no Redis[^]*does not contain the CustomResourceDefinition/,
  );
  const strict = { fullnameOverride: 'tuning', crds: { keep: false }, metrics: { authentication: true } };
  t.match(await notes(strict), /uninstalling the release deletes every job[^]*tuning-metrics-reader/);

  const older = join(t.testdir(), 'fedbiot');
  cpSync(CHART, older, { recursive: true });
  writeFileSync(
    join(older, 'Chart.yaml'),
    readFileSync(join(CHART, 'Chart.yaml'), 'utf8').replaceAll(`ersion: ${version}`, 'ersion: 0.0.9'),
  );
  await helm.run(['install', 'fedbiot', older, `--namespace=${SYSTEM}`, '--take-ownership']);
  await until('pods are made, which meet the standard', 60, async () => {
    const names = await kubectl(['get', 'pods', '--namespace', SYSTEM, '--output', 'name']);
    return names.match(/pod\/(fedbiot-redis-0|fedbiot-operator-)/g)?.length === 3 ? names : null;
  });
  t.equal(
    await get('deployment fedbiot-operator', '.spec.template.spec.containers[0].image'),
    'fedbiot/operator:0.0.9',
  );
  const first = await password();
  t.match(Buffer.from(first, 'base64').toString(), /^[A-Za-z0-9]{32}$/);
  await kubectl(['apply', '--filename=-', '--namespace=demo'], job);

  await helm.run(['upgrade', ...release], { redis: { maxmemory: '2gb' }, logLevel: 'debug' });
  t.equal(
    await get('deployment fedbiot-operator', '.spec.template.spec.containers[0].image'),
    `fedbiot/operator:${version}`,
  );
  t.match(await get('statefulset fedbiot-redis', '.spec.template.spec.containers[0].args'), /2gb/);
  t.equal(await password(), first, 'the password stays');
  t.equal(await get('fedbiotjob tune', '.metadata.name', 'demo'), 'tune');
  await helm.run(['rollback', 'fedbiot', '1', `--namespace=${SYSTEM}`]);
  t.equal(await password(), first, 'also when it is rolled back');

  const canI = async (verb: string, namespace: string, group: string) =>
    (
      await kubectl([
        'auth',
        'can-i',
        verb,
        'fedbiotjobs',
        `--namespace=${namespace}`,
        '--as=ann',
        `--as-group=${group}`,
      ]).catch(() => 'no')
    ).trim();
  await kubectl(['create', 'rolebinding', 'viewers', '--clusterrole=view', '--group=viewers', '--namespace=demo']);
  await kubectl(['create', 'rolebinding', 'editors', '--clusterrole=edit', '--group=editors', '--namespace=demo']);
  await until('roles are aggregated', 60, async () =>
    (await canI('create', 'demo', 'editors')) === 'yes' ? true : null,
  );
  t.equal(await canI('get', 'demo', 'viewers'), 'yes');
  t.equal(await canI('create', 'demo', 'viewers'), 'no');
  t.equal(await canI('get', SYSTEM, 'viewers'), 'no');

  await helm.run(['uninstall', 'fedbiot', `--namespace=${SYSTEM}`]);
  t.equal(await get('fedbiotjob tune', '.metadata.name', 'demo'), 'tune', 'the definition stays, and its jobs');
  const labelled = ['--selector=app.kubernetes.io/instance=fedbiot', '--output=name'];
  const kinds =
    'deployments,statefulsets,services,secrets,configmaps,serviceaccounts,roles,rolebindings,networkpolicies,poddisruptionbudgets,leases,pods,persistentvolumeclaims';
  const left = await until('pods are gone', 60, async () => {
    const names = await kubectl(['get', kinds, `--namespace=${SYSTEM}`, ...labelled]);
    return names.includes('pod/') ? null : names;
  });
  t.equal(left.trim(), 'persistentvolumeclaim/data-fedbiot-redis-0');
  t.equal(await kubectl(['get', 'clusterroles,clusterrolebindings', ...labelled]), '');
  t.equal(await kubectl(['get', 'secrets,leases', `--namespace=${SYSTEM}`, '--output=name']), '');
});

const job = {
  apiVersion: `${GROUP}/${VERSION}`,
  kind: KIND,
  metadata: { name: 'tune' },
  spec: {
    model: { uri: 'model' },
    data: { train: { uri: 'train.jsonl' }, public: { uri: 'public.jsonl' }, eval: { uri: 'eval.jsonl' } },
  },
};
