// Run by dashboards.test.ts in new namespaces: jobs on a node with real containers, and a real Prometheus, which every
// query of the dashboards is sent to. If FEDBIOT_PICTURES names a folder, pictures of the dashboards are written to it.
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import t from 'tap';
import { parseDocument, parse } from 'yaml';
import { startLab } from '../../cluster/lab/start.ts';
import type { LabParts } from '../../cluster/lab/start.ts';
import { SYSTEM } from '../../support/chart.ts';
import { dashboardPicture } from '../../support/dashboard-picture.ts';
import { ALL, ask, readDashboard, substituted, withoutData } from '../../support/dashboards.ts';
import type { Variables } from '../../support/dashboards.ts';
import type { Window } from '../../support/prometheus.ts';
import { until } from '../../support/until.ts';
import { install, makeNamespace, makeVolume } from './install.ts';
import { LabObjects } from './objects.ts';
import { monitor } from './prometheus.ts';
import { labReport } from './report.ts';

const ROOT = join(import.meta.dirname, '../../..');
const RULES = join(ROOT, 'charts/fedbiot/rules');
const MANIFEST = join(ROOT, 'examples/quickstart.yaml');
const GPUS = 4;
/** Seconds. Grafana's is at least four scrape intervals. */
const RATE_INTERVAL = 15;
const LARGEST_PICTURE = 300_000;

const NAMESPACE = 'research';
/** One job runs, one waits for GPUs while its clients have theirs, one has waited too long. */
const JOB = 'quickstart';
const WAITING = 'waits-for-gpus';
const FAILED = 'waited-too-long';

t.setTimeout(30 * 60_000);

const parts: LabParts = JSON.parse(process.argv[2] ?? '');
const lab = await startLab(parts, GPUS);
t.teardown(async () => {
  if (!t.passing()) process.stderr.write(await labReport(lab));
});
await install(lab).catch(async (error: unknown) => {
  process.stderr.write(await labReport(lab));
  throw error;
});
const objects = new LabObjects(lab);
await makeNamespace(lab, NAMESPACE);
await makeVolume(lab, { namespace: NAMESPACE, name: `${JOB}-output` }, '10Gi');
const prometheus = await monitor(t, lab);
const from = now();

const tooMany = { resources: { limits: { 'nvidia.com/gpu': GPUS + 1 } } };
await apply(WAITING, { server: tooMany, client: { pods: 2, resources: { limits: { 'nvidia.com/gpu': 1 } } } });
await apply(FAILED, { server: tooMany, startDeadlineSeconds: 5 });
await until('a job has waited too long', 180, async () =>
  (await objects.status(NAMESPACE, FAILED)).phase === 'Failed' ? true : null,
);
await until('the clients of the job that waits run', 180, async () => {
  const pods = await objects.pods(NAMESPACE, WAITING, 'client');
  return pods.length === 2 && pods.every(({ status }) => status?.phase === 'Running') ? true : null;
});
await apply(JOB, { client: { pods: 2 } });
await until('the job is in its last rounds', 900, async () => {
  const { phase, message, round = 0, rounds = Infinity } = await objects.status(NAMESPACE, JOB);
  if (phase === 'Failed' || phase === 'Succeeded') throw new Error(`the job is ${phase}: ${message}`);
  return round >= rounds - 2 ? true : null;
});
const window: Window = { from, to: now(), step: 2 };

t.test('everything is scraped', async (t) => {
  const targets = await prometheus.targets();
  const failing = targets.filter(({ health, labels }) => health !== 'up' && labels['job'] === 'fedbiot-operator');
  t.strictSame(failing, []);
  t.equal(targets.filter(({ labels }) => labels['job'] === 'fedbiot-operator').length, 2, 'both replicas');
  t.ok(
    targets.filter(({ labels }) => labels['job'] === 'fedbiot-workers').length >= 5,
    'a server pod and four client pods',
  );
});

const SELECTED: Readonly<Record<string, Variables>> = {
  job: { ...ALL, namespace: NAMESPACE, job: JOB },
  fleet: ALL,
  operator: { ...ALL, operator: SYSTEM },
};

for (const [name, variables] of Object.entries(SELECTED)) {
  t.test(`every query of the dashboard ${name} has data`, async (t) => {
    const dashboard = readDashboard(name);
    const data = await ask(dashboard, { prometheus, window, variables, rateInterval: RATE_INTERVAL });
    t.strictSame(withoutData(data), [], 'queries without data');
    const marks: number[] = [];
    for (const { name: annotation, expr } of dashboard.annotations.list ?? []) {
      if (expr === undefined) continue;
      const marked = await prometheus.queryRange(substituted(expr, variables, window, RATE_INTERVAL), window);
      t.ok(
        marked.filter(({ labels }) => Number(labels['round']) > 0).length >= 6,
        `${annotation}: the ends of the rounds`,
      );
      marks.push(...marked.flatMap(({ points }) => points.slice(0, 1).map(([time]) => time)));
    }
    const picture = dashboardPicture(dashboard, data, window, marks);
    t.ok(picture.length < LARGEST_PICTURE, `its picture has ${picture.length} bytes`);
    t.notMatch(picture, /NaN|undefined/);
    const folder = process.env['FEDBIOT_PICTURES'];
    if (folder !== undefined) await writeFile(resolve(ROOT, folder, `dashboard-${name}.svg`), picture);
  });
}

t.test('variables list the existing values', async (t) => {
  t.strictSame(
    await prometheus.labelValues('job', `fedbiot_rounds{namespace=~"${NAMESPACE}"}`),
    [JOB, FAILED, WAITING].sort(),
  );
  t.strictSame(await prometheus.labelValues('namespace', 'fedbiot_rounds'), [NAMESPACE]);
});

t.test('series from several sources count once, and past series are gone', async (t) => {
  const last = async (name: string, title: string, label: string) => {
    const data = await ask(readDashboard(name), {
      prometheus,
      window,
      variables: SELECTED[name] ?? ALL,
      rateInterval: RATE_INTERVAL,
    });
    const series = data.find(({ panel }) => panel.title === title)?.answers.flatMap((answer) => answer.series) ?? [];
    return Object.fromEntries(series.map(({ labels, points }) => [labels[label], points.at(-1)?.[1]]));
  };
  t.strictSame(await last('fleet', 'Jobs by phase', 'phase'), {
    Failed: 1,
    Pending: 1,
    Running: 1,
    Succeeded: 0,
    Suspended: 0,
  });
  t.strictSame(await last('fleet', 'GPUs', 'state'), { asked: GPUS + 1 + 2, running: 2 });
  t.strictSame(await last('job', 'Phase', 'phase'), { Running: 1 });
  t.equal(Object.keys(await last('operator', 'Leader', 'pod')).length, 1, 'one replica leads');
});

t.test('recording rules have data, and only the failed job raises an alert', async (t) => {
  const groups = await Promise.all(
    (await readdir(RULES)).map(async (name) => parse(await readFile(join(RULES, name), 'utf8')).groups),
  );
  const records: string[] = groups
    .flat()
    .flatMap(({ rules }) => rules.flatMap(({ record }: { record?: string }) => record ?? []));
  t.ok(records.length > 10);
  for (const record of records) {
    const series = await until(`${record} is recorded`, 60, async () => {
      const found = await prometheus.queryRange(record, { from, to: now(), step: 5 });
      return found.length > 0 ? found : null;
    });
    t.ok(
      series.some(({ points }) => points.some(([, value]) => Number.isFinite(value))),
      record,
    );
  }
  await until('the alert fires', 90, async () => ((await firing()).length > 0 ? true : null));
  await until('the job ends', 300, async () =>
    (await objects.status(NAMESPACE, JOB)).phase === 'Succeeded' ? true : null,
  );
  t.strictSame(await firing(), [`FedBiOTJobFailed ${FAILED} StartDeadlineExceeded`]);
});

async function firing(): Promise<string[]> {
  const alerts = await prometheus.queryRange('ALERTS{alertstate="firing"}', { from, to: now(), step: 1 });
  return alerts.map(({ labels }) => `${labels['alertname']} ${labels['job']} ${labels['reason']}`);
}

/** The example's job with another name and further fields of the spec. */
async function apply(name: string, spec: Readonly<Record<string, unknown>>): Promise<void> {
  const document = parseDocument(await readFile(MANIFEST, 'utf8'));
  document.setIn(['metadata', 'name'], name);
  for (const [field, value] of Object.entries(spec)) document.setIn(['spec', field], value);
  await lab.kubectl(['apply', `--namespace=${NAMESPACE}`, '--filename=-'], document.toString());
}

function now(): number {
  return Date.now() / 1000;
}
