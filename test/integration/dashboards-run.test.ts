// A run in one process, scraped by a real Prometheus: every query of the job's dashboard returns data, except those
// about a cluster.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { parseDocument } from 'yaml';
import { ALL, ask, readDashboard, withoutData } from '../support/dashboards.ts';
import { noPrometheus, startPrometheus } from '../support/prometheus.ts';
import { freePort } from '../support/redis.ts';

const ROOT = join(import.meta.dirname, '../..');
const ROUNDS = 3;

t.setTimeout(300_000);

t.test('fedbiot run --metrics-port fills the dashboard of its job', { skip: noPrometheus }, async (t) => {
  const manifest = parseDocument(await readFile(join(ROOT, 'examples/quickstart.yaml'), 'utf8'));
  manifest.setIn(['spec', 'federation', 'rounds'], ROUNDS);
  for (const data of ['model', 'data.train', 'data.public', 'data.eval']) {
    const path = ['spec', ...data.split('.'), 'uri'];
    manifest.setIn(path, join(ROOT, 'examples', String(manifest.getIn(path))));
  }
  const folder = t.testdir();
  const job = join(folder, 'job.yaml');
  await writeFile(job, String(manifest));

  const port = await freePort();
  const prometheus = await startPrometheus(t, {
    interval: '500ms',
    scrapeConfigs: [
      { job_name: 'fedbiot-run', honor_labels: true, static_configs: [{ targets: [`127.0.0.1:${port}`] }] },
    ],
  });
  const from = Date.now() / 1000;
  const run = spawn(
    process.execPath,
    [
      join(ROOT, 'worker/launch.js'),
      'run',
      job,
      '--out',
      join(folder, 'out'),
      '--quiet',
      '--metrics-port',
      String(port),
    ],
    {
      stdio: ['ignore', 'inherit', 'inherit'],
    },
  );
  const [code] = await once(run, 'exit');
  t.equal(code, 0, 'the run succeeds');
  const [round] = await prometheus.queryRange('max by (namespace, job) (fedbiot_round)', {
    from,
    to: Date.now() / 1000,
    step: 0.5,
  });
  t.match(round?.labels, { namespace: 'default', job: 'quickstart' });
  t.ok(
    round?.points.some(([, finished]) => finished >= ROUNDS - 1),
    'rounds are seen to end',
  );
  // A job's series end with its run.
  const [last = NaN] = round?.points.at(-1) ?? [];
  const window = { from, to: last, step: 1 };

  const dashboard = readDashboard('job');
  const first = dashboard.panels.findIndex(({ title }) => title === 'On the cluster');
  const data = await ask(
    { ...dashboard, panels: dashboard.panels.slice(0, first) },
    { prometheus, window, variables: ALL, rateInterval: 10 },
  );
  t.strictSame(withoutData(data), [], 'queries without data');
  t.ok(data.flatMap(({ answers }) => answers).length > 25, 'that were many');
});
