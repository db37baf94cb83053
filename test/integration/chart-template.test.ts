// The chart in many configurations: Helm reports no problem, a real API server accepts every object, its pods meet the
// restricted standard, and the rendering equals the snapshot (TAP_SNAPSHOT=1 writes tap-snapshots).
import { readFileSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import t from 'tap';
import Type from 'typebox';
import Value from 'typebox/value';
import { parse, stringify } from 'yaml';
import packageJson from '../../package.json' with { type: 'json' };
import { readConfig } from '../../operator/config/config.ts';
import { ensureMonitoringCrds } from '../cluster/ensure-monitoring-crds.ts';
import { CHART, SYSTEM } from '../support/chart.ts';
import { noApiServer, startControlPlane } from '../support/control-plane.ts';
import { Helm, noHelm } from '../support/helm.ts';
import type { Rendered } from '../support/helm.ts';
import { CHART_VALUES } from '../fixtures/chart-values.ts';

const { version } = packageJson;
const helm = new Helm(t);
const monitoring = await ensureMonitoringCrds();
const [monitoringFolder, noMonitoring] =
  'skip' in monitoring ? ['', `SKIPPED: ${monitoring.skip}`] : [monitoring.folder, false];
const cases = Object.entries(CHART_VALUES);
const idOf = ({ kind, metadata }: Rendered) => `${kind} ${metadata.namespace ?? ''}/${metadata.name}`;

const Workload = Type.Object({
  spec: Type.Object({
    template: Type.Object({
      metadata: Type.Object({ labels: Type.Unknown() }),
      spec: Type.Record(Type.String(), Type.Unknown()),
    }),
  }),
});
const Deployment = Type.Object({
  spec: Type.Object({
    template: Type.Object({
      spec: Type.Object({
        containers: Type.Array(
          Type.Object({ env: Type.Array(Type.Object({ name: Type.String(), value: Type.Optional(Type.String()) })) }),
        ),
      }),
    }),
  }),
});

t.test('helm lint finds nothing', { skip: noHelm }, async (t) => {
  for (const [name, values] of cases)
    t.match(await helm.run(['lint', '--strict', CHART], values), /0 chart\(s\) failed/, name);
});

t.test(
  'the API server takes every object, and the restricted standard every pod',
  { skip: noHelm || noMonitoring || noApiServer, timeout: 300_000 },
  async (t) => {
    const { kubectl, close } = await startControlPlane();
    t.teardown(close);
    for (const namespace of [SYSTEM, 'team-a', 'team-b', 'monitoring']) {
      await kubectl(['create', 'namespace', namespace]);
      await kubectl(['label', 'namespace', namespace, 'pod-security.kubernetes.io/enforce=restricted']);
    }
    // Their descriptions are too long for an annotation.
    await kubectl(['apply', '--server-side', '--filename', monitoringFolder]);
    await kubectl(['wait', '--for=condition=Established', '--timeout=60s', '--filename', monitoringFolder]);

    const tried = (objects: readonly object[]) =>
      kubectl(
        [
          'apply',
          '--server-side',
          '--force-conflicts',
          '--dry-run=server',
          '--validate=strict',
          '--output=name',
          '--filename=-',
        ],
        {
          apiVersion: 'v1',
          kind: 'List',
          items: objects,
        },
      );
    for (const [name, values] of cases) {
      const objects = await helm.template(values);
      const taken = await tried(objects);
      t.equal(taken.trim().split('\n').length, objects.length, `${name}: ${objects.length} objects`);
      const pods = objects.flatMap(podOf);
      t.ok(pods.length > 0);
      await tried(pods);
    }
    const [deployment] = (await helm.template({})).filter(({ kind }) => kind === 'Deployment').flatMap(podOf);
    const root = { ...deployment, spec: { ...deployment?.spec, securityContext: {} } };
    await t.rejects(tried([root]), /violates PodSecurity "restricted/, 'that it takes no other');
  },
);

/** The pod that a controller would create of a workload, with any volume for a claim. */
function podOf(object: Rendered) {
  if (!['Deployment', 'StatefulSet'].includes(object.kind)) return [];
  const { metadata, spec } = Value.Parse(Workload, object).spec.template;
  const volumes = spec['volumes'] ?? (object.kind === 'StatefulSet' ? [{ name: 'data', emptyDir: {} }] : []);
  const name = `${object.metadata.name}-pod`;
  return [
    { apiVersion: 'v1', kind: 'Pod', metadata: { ...metadata, name, namespace: SYSTEM }, spec: { ...spec, volumes } },
  ];
}

t.test('what is made of values', { skip: noHelm }, async (t) => {
  for (const [name, values] of cases) {
    const objects = await helm.template(values);
    const ids = objects.map(idOf);
    t.equal(new Set(ids).size, ids.length, `${name}: every name once`);
    t.matchSnapshot(
      stringify(objects.map(masked), { lineWidth: 0, aliasDuplicateObjects: false }).replaceAll(version, 'VERSION'),
      name,
    );
  }
});

/** Without parts that are generated elsewhere, or differ in each rendering. */
function masked(object: Rendered): object {
  const { kind, metadata } = object;
  if (kind === 'CustomResourceDefinition') return { ...object, spec: 'of crds/schema' };
  if (kind === 'PrometheusRule') return { ...object, spec: 'of rules/' };
  if (kind === 'ConfigMap' && metadata.name.includes('-dashboard-')) return { kind, name: 'of dashboards/' };
  if (kind === 'Secret') return { ...object, data: 'made' };
  return object;
}

t.test('dashboards and rules', { skip: noHelm }, async (t) => {
  const objects = await helm.template(CHART_VALUES['as much as can be'] ?? {});
  const dashboards = readdirSync(join(CHART, 'dashboards')).filter((file) => file.endsWith('.json'));
  t.ok(dashboards.length > 0);
  for (const file of dashboards) {
    const map = objects.find(
      ({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === `tuning-dashboard-${basename(file, '.json')}`,
    );
    t.match(
      map,
      { metadata: { labels: { grafana_dashboard: '1' }, annotations: { grafana_folder: 'Training' } } },
      file,
    );
    t.strictSame(map?.['data'], { [file]: readFileSync(join(CHART, 'dashboards', file), 'utf8').trimEnd() }, file);
  }

  const groups = readdirSync(join(CHART, 'rules'))
    .sort()
    .flatMap((file) => parse(readFileSync(join(CHART, 'rules', file), 'utf8')).groups);
  t.ok(groups.length > 0);
  const linked = JSON.parse(JSON.stringify(groups), (key, value) =>
    key === 'runbook_url' ? `https://runbooks.example/fedbiot/${value}` : value,
  );
  const rules = objects.find(({ kind }) => kind === 'PrometheusRule');
  t.strictSame(rules?.['spec'], { groups: linked }, 'every group, with links to where the runbooks are');
  const plain = (await helm.template({ prometheusRule: { enabled: true } })).find(
    ({ kind }) => kind === 'PrometheusRule',
  );
  t.strictSame(plain?.['spec'], { groups }, 'as they are written, where nobody says: a path in the project');
});

t.test('the operator takes the variables that the chart sets', { skip: noHelm }, async (t) => {
  const file = join(CHART, 'Chart.yaml');
  const isFile = (name: string) => name.endsWith('_FILE');
  const configOf = async (values: object) => {
    const found = (await helm.template(values)).find(({ kind }) => kind === 'Deployment');
    const env = Value.Parse(Deployment, found).spec.template.spec.containers[0]?.env ?? [];
    const given = Object.fromEntries(
      env.map(({ name, value }) => [name, value?.replaceAll('$(REDIS_PASSWORD)', 'p') ?? 'redis://managed']),
    );
    return readConfig(
      [],
      Object.fromEntries(Object.entries(given).map(([name, value]) => [name, isFile(name) ? file : value])),
      '0',
    );
  };
  const [plain, external, some, least, most] = await Promise.all(
    cases.slice(0, 5).map(([, values]) => configOf(values)),
  );
  t.match(plain, {
    workerImage: `fedbiot/worker:${version}`,
    redisUrl: 'redis://:p@fedbiot-redis.fedbiot-system.svc:6379',
    redisCa: null,
    secretKey: /apiVersion/,
    leaderElect: true,
    metricsAuth: false,
  });
  t.match(external, { redisUrl: 'redis://managed', redisCa: /apiVersion/, allowSharedRedisCredentials: true });
  t.match(some, { namespaces: ['team-a', 'team-b'] });
  t.match(least, { leaderElect: false, redisUrl: null });
  t.match(most, {
    workerImage: 'registry.example:5000/fedbiot/worker:1.2.3',
    metricsAuth: true,
    logLevel: 'debug',
    workers: 16,
    podAnnotations: ['example.org/', 'vault.hashicorp.com/role'],
  });
});

t.test('what is wrong is said', { skip: noHelm }, async (t) => {
  for (const [values, words] of [
    [{ replcas: 3 }, /additional propert.*'?replcas/i],
    [{ redis: { persistance: { enabled: false } } }, /redis[^]*persistance/],
    [{ replicas: '3' }, /replicas[^]*string/],
    [{ logLevel: 'loud' }, /logLevel/],
    [{ image: { digest: 'latest' } }, /digest/],
    [{ watchNamespaces: ['Team A'] }, /watchNamespaces/],
    [{ redis: { external: { urlFrom: { name: 'managed' } } } }, /set redis\.enabled to false/],
    [{ redis: { enabled: false, external: { tls: { caSecret: { name: 'ca' } } } } }, /redis\.external\.urlFrom\.name/],
    [{ leaderElection: { enabled: false } }, /set replicas to 1/],
    [{ watchNamespaces: ['team-a'], tests: { namespace: 'other' } }, /none of watchNamespaces/],
  ] as const) {
    await t.rejects(helm.template(values), words, JSON.stringify(values));
  }
});
