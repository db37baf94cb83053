// Metrics of each job that the operator exports.
import { readFileSync } from 'node:fs';
import { Registry } from 'prom-client';
import t from 'tap';
import { parseManifest } from '../../crds/parse.ts';
import { jobMetrics } from '../../operator/job-metrics/job-metrics.ts';
import type { JobView } from '../../operator/job-metrics/job-metrics.ts';
import type { JobObject } from '../../operator/objects/job-object.ts';
import type { ObservedPod } from '../../operator/objects/observed.ts';
import { progressStatus } from '../../operator/status/progress-status.ts';
import type { JobProgress } from '../../crds/facts/progress.ts';
import { REFUSAL_REASONS } from '../../crds/facts/refusal.ts';
import { Scrape } from '../support/scrape.ts';
import { sampleProgress } from '../support/sample-progress.ts';
import { linesOf } from '../support/metric-lines.ts';

const manifest = parseManifest(
  readFileSync(new URL('../../examples/quickstart.yaml', import.meta.url), 'utf8'),
  'quickstart.yaml',
);

const job: JobObject = { ...manifest, metadata: { name: 'tune', namespace: 'team', uid: 'u-1' } };

const LABELS = { namespace: 'team', job: 'tune' };

const role = (cpuSeconds: number) => ({
  cpuSeconds,
  gpuSeconds: cpuSeconds / 2,
  tokens: cpuSeconds * 10,
  peakMemoryBytes: cpuSeconds * 1000,
});

const progress: JobProgress = {
  ...sampleProgress(3),
  finishedRounds: 2,
  rounds: 10,
  clients: { selected: 4, reported: 2, dropped: 1, refused: 1 },
  refusals: { late: 3 },
  alignmentLoss: 0.25,
  publicAlignmentGap: 0.125,
  evaluation: {
    round: 2,
    base: { accuracy: 0, loss: 5 },
    adapEmu: { accuracy: null, loss: 2 },
    adapFu: { accuracy: 0.75, f1: 0.875, loss: 1 },
  },
  cost: {
    server: role(3),
    clients: role(7),
    bytes: { bundle: 100, down: 40, up: 20 },
    savings: { bytes: { here: 160, fullModel: 400, saved: 240 }, flops: { here: 9, fullModel: 4, saved: -5 } },
  },
};

/** The metrics of a job that the operator exports. */
async function told(view: Partial<JobView>): Promise<Scrape> {
  const registry = new Registry();
  jobMetrics(registry, () => [{ job, progress: null, pods: [], ...view }]);
  const scrape = new Scrape(await registry.metrics());
  for (const { name, labels } of scrape.samples) t.match(labels, LABELS, `${name} says of which job it is`);
  return scrape;
}

const condition = (type: string, status: 'True' | 'False', reason: string) => ({
  type,
  status,
  reason,
  message: '',
  lastTransitionTime: '2026-01-01T00:00:00Z',
});

t.test('of a job that has just been created: its counts, and the resources it requests', async (t) => {
  const series = await told({});
  t.equal(series.value('fedbiot_job_info', { method: 'FedBiOT', task: 'qa' }), 1);
  t.equal(series.value('fedbiot_job_phase', { phase: 'Pending' }), 1);
  t.equal(series.value('fedbiot_round'), 0);
  t.equal(series.value('fedbiot_quorum_clients'), 1);
  t.equal(
    series.all('fedbiot_refused_results_total').length,
    REFUSAL_REASONS.length,
    'every reason, before it happens',
  );
  t.equal(series.value('fedbiot_delta_bytes_total', { direction: 'up' }), 0);
  t.equal(series.value('fedbiot_trained_tokens_total', { role: 'client' }), 0);
  t.equal(series.value('fedbiot_cpu_seconds_total', { role: 'server' }), 0);
  t.equal(series.value('fedbiot_job_restarts'), 0);
  for (const name of [
    'job_failed',
    'loss',
    'accuracy_ratio',
    'alignment_gap',
    'public_alignment_gap',
    'last_progress_timestamp_seconds',
    'peak_memory_bytes',
    'saved_bytes',
  ]) {
    t.same(series.all(`fedbiot_${name}`), [], `${name}: what is not known is not told`);
  }
});

t.test('of a job in a queue: why it has no quota yet', async (t) => {
  const waiting = (phase: 'Pending' | 'Suspended' | 'Failed', status: 'True' | 'False', suspend = false) => {
    const condition = { type: 'QuotaReserved', status, reason: 'Inadmissible', message: '', lastTransitionTime: '' };
    return told({ job: { ...job, spec: { ...job.spec, suspend }, status: { phase, conditions: [condition] } } });
  };
  t.equal((await waiting('Pending', 'False')).value('fedbiot_job_queued', { reason: 'Inadmissible' }), 1);
  for (const series of [
    await told({}),
    await waiting('Pending', 'True'),
    await waiting('Suspended', 'False', true),
    await waiting('Failed', 'False'),
  ])
    t.same(series.all('fedbiot_job_queued'), []);
});

t.test('of a job that runs: the last progress of its server pod', async (t) => {
  const series = await told({ job: { ...job, status: { phase: 'Running', restarts: 2 } }, progress });
  t.same(
    series.all('fedbiot_job_phase').map(({ labels, value }) => [labels['phase'], value]),
    [
      ['Pending', 0],
      ['Suspended', 0],
      ['Running', 1],
      ['Succeeded', 0],
      ['Failed', 0],
    ],
  );
  const is = (value: number, name: string, labels: Readonly<Record<string, string>> = {}) =>
    t.equal(series.value(name, labels), value, name);
  is(2, 'fedbiot_round');
  is(10, 'fedbiot_rounds');
  is(Date.parse(progress.at) / 1000, 'fedbiot_last_progress_timestamp_seconds');
  is(2, 'fedbiot_clients', { state: 'reported' });
  is(0.25, 'fedbiot_client_dropout_ratio');
  is(0.5, 'fedbiot_emulator_layer_dropout_ratio');
  t.same(
    series.all('fedbiot_accuracy_ratio').map(({ labels, value }) => [labels['model'], labels['task'], value]),
    [
      ['base', 'qa', 0],
      ['adap_fu', 'qa', 0.75],
    ],
  );
  t.same(
    series.all('fedbiot_f1_ratio').map(({ labels, value }) => [labels['model'], labels['task'], value]),
    [['adap_fu', 'qa', 0.875]],
  );
  t.same(
    series.all('fedbiot_loss').map(({ labels, value }) => [labels['phase'], value]),
    [
      ['alignment', 0.25],
      ['eval', 1],
    ],
  );
  is(1, 'fedbiot_alignment_gap');
  is(0.125, 'fedbiot_public_alignment_gap');
  is(3, 'fedbiot_refused_results_total', { reason: 'late' });
  is(40, 'fedbiot_delta_bytes_total', { direction: 'down' });
  is(20, 'fedbiot_delta_bytes_total', { direction: 'up' });
  is(30, 'fedbiot_trained_tokens_total', { role: 'server' });
  is(70, 'fedbiot_trained_tokens_total', { role: 'client' });
  is(7, 'fedbiot_cpu_seconds_total', { role: 'client' });
  is(1.5, 'fedbiot_gpu_seconds_total', { role: 'server' });
  is(3000, 'fedbiot_peak_memory_bytes', { role: 'server' });
  is(240, 'fedbiot_saved_bytes');
  is(-5, 'fedbiot_saved_flops');
  is(2, 'fedbiot_job_restarts');
});

t.test('an operator that has just started exports what the status says', async (t) => {
  const reconciled: JobObject = { ...job, status: { phase: 'Succeeded', restarts: 2, ...progressStatus(progress) } };
  const [before, after] = [await told({ job: reconciled, progress }), await told({ job: reconciled })];
  t.same(after.samples, before.samples);
});

t.test('a cost that was not measured has no series, instead of 0', async (t) => {
  const series = await told({ progress: { ...progress, cost: null } });
  for (const name of [
    'delta_bytes_total',
    'trained_tokens_total',
    'cpu_seconds_total',
    'gpu_seconds_total',
    'peak_memory_bytes',
    'saved_bytes',
    'saved_flops',
  ]) {
    t.same(series.all(`fedbiot_${name}`), [], name);
  }
});

t.test('a failed job has the reason as a label', async (t) => {
  const conditions = [condition('Running', 'False', 'NotFinite'), condition('Failed', 'True', 'NotFinite')];
  const series = await told({ job: { ...job, status: { phase: 'Failed', conditions } } });
  t.same(series.all('fedbiot_job_failed'), [
    { name: 'fedbiot_job_failed', labels: { ...LABELS, reason: 'NotFinite' }, value: 1 },
  ]);
  const going = await told({
    job: { ...job, status: { phase: 'Running', conditions: [condition('Failed', 'False', 'None')] } },
  });
  t.same(going.all('fedbiot_job_failed'), []);
});

t.test('GPUs that a job asks for, and those of pods that run', async (t) => {
  const resources = { limits: { 'nvidia.com/gpu': 2, cpu: '4' }, requests: { 'nvidia.com/gpu': '2' } };
  const spec: JobObject['spec'] = {
    ...job.spec,
    server: { ...job.spec.server, podTemplate: { spec: { containers: [{ name: 'worker', resources }] } } },
    client: { ...job.spec.client, pods: 3, resources: { limits: { 'nvidia.com/mig-1g.10gb': '1' } } },
  };
  const pod = (of: 'server' | 'client', state: object): ObservedPod => ({
    metadata: { name: of, labels: { 'fedbiot.io/role': of } },
    status: { containerStatuses: [{ name: 'worker', state }] },
  });
  const pods = [
    pod('server', { running: {} }),
    pod('client', { running: {} }),
    pod('client', { waiting: {} }),
    pod('client', { terminated: { exitCode: 0 } }),
  ];
  const gpus = async (view: Partial<JobView>) => {
    const series = await told(view);
    return ['server', 'client'].map((of) =>
      ['asked', 'running'].map((state) => series.value('fedbiot_gpus', { role: of, state })),
    );
  };
  t.same(
    await gpus({ pods }),
    [
      [0, 0],
      [0, 0],
    ],
    'a job without GPUs',
  );
  t.same(await gpus({ job: { ...job, spec }, pods }), [
    [2, 2],
    [3, 1],
  ]);
  t.same(await gpus({ job: { ...job, spec: { ...spec, suspend: true } }, pods: [] }), [
    [0, 0],
    [0, 0],
  ]);
  t.same(
    await gpus({ job: { ...job, spec, status: { phase: 'Succeeded' } }, pods: pods.slice(1, 2) }),
    [
      [0, 0],
      [0, 1],
    ],
    'a client pod that has yet to leave',
  );
});

t.test("a scrape counts nothing, and a job's series go with it", async (t) => {
  const registry = new Registry();
  const views: JobView[] = [{ job, progress, pods: [] }];
  jobMetrics(registry, () => views);
  const labels = 'namespace="team",job="tune"';
  for (let scrape = 0; scrape < 2; scrape++) {
    t.ok(
      (await linesOf(registry, 'fedbiot_refused_results_total')).includes(
        `fedbiot_refused_results_total{${labels},reason="late"} 3`,
      ),
    );
  }
  views.length = 0;
  t.notMatch(await registry.metrics(), /tune/);
});
