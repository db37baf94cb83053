import t from 'tap';
import { foldProgress, initialProgress } from '../../worker/report/fold-progress.ts';
import type { RunEvent } from '../../crds/facts/events.ts';
import { serveMetrics } from '../../worker/metrics/metrics-server.ts';
import { serverMetrics } from '../../worker/metrics/server-metrics.ts';
import { REFUSAL_REASONS } from '../../crds/facts/refusal.ts';
import { sampleEvents } from '../support/sample-run.ts';
import { Scrape } from '../support/scrape.ts';

const progressFacts = { rounds: 4, clientsPerRound: 2, localSteps: 2 };
const jobFacts = { task: 'tokens', rounds: 4, quorum: 2, layerDropRate: 0.4 };
const LABELS = { namespace: 'ns', job: 'sample' };

/** Metrics that receive events 5 s after 1970, after those of an earlier process. */
async function told(events: readonly RunEvent[], earlier: readonly RunEvent[] = []): Promise<Scrape> {
  const metrics = serverMetrics(LABELS, jobFacts, () => 5_000);
  const fold = (progress: ReturnType<typeof initialProgress>, event: RunEvent) =>
    foldProgress(progress, event, progressFacts);
  let progress = earlier.reduce(fold, initialProgress(progressFacts));
  if (earlier.length > 0) metrics.recall(earlier, progress);
  for (const event of events) {
    progress = fold(progress, event);
    metrics.observe(event, progress);
  }
  const scrape = new Scrape(await metrics.registry.metrics());
  for (const { name, labels } of scrape.samples) t.match(labels, LABELS, `${name} says of which job it is`);
  return scrape;
}

t.test('the metrics of a run', async (t) => {
  const series = await told(sampleEvents(4));
  const is = (value: number, name: string, labels: Readonly<Record<string, string>> = {}) => {
    const found = series.value(name, labels) ?? Number.NaN;
    t.ok(Math.abs(found - value) < 1e-9, `${name} ${JSON.stringify(labels)} is ${found}, not ${value}`);
  };
  is(4, 'fedbiot_round');
  is(4, 'fedbiot_rounds');
  is(5, 'fedbiot_last_progress_timestamp_seconds');
  is(2, 'fedbiot_clients', { state: 'reported' });
  is(2, 'fedbiot_quorum_clients');
  is(0, 'fedbiot_client_dropout_ratio');
  is(0.5, 'fedbiot_emulator_layer_dropout_ratio');
  is(0.18, 'fedbiot_accuracy_ratio', { model: 'adap_fu', task: 'tokens' });
  is(0.25, 'fedbiot_loss', { phase: 'alignment' });
  is(0.5, 'fedbiot_loss', { phase: 'local' });
  is(2.46, 'fedbiot_loss', { phase: 'eval' });
  is(0.44, 'fedbiot_alignment_gap');
  is(0.125, 'fedbiot_public_alignment_gap');
  is(320_000, 'fedbiot_delta_bytes_total', { direction: 'down' });
  is(128_000, 'fedbiot_delta_bytes_total', { direction: 'up' });
  is(4 * 3 * 100, 'fedbiot_trained_tokens_total', { role: 'server' });
  is(7 * 2 * 100, 'fedbiot_trained_tokens_total', { role: 'client' });
  is(12 * 0.05, 'fedbiot_step_duration_seconds_sum', { phase: 'align' });
  is(65, 'fedbiot_round_duration_seconds_sum', { phase: 'align' });
  is(4, 'fedbiot_round_duration_seconds_count', { phase: 'local' });
  is(12, 'fedbiot_cpu_seconds_total', { role: 'server' });
  is(60, 'fedbiot_cpu_seconds_total', { role: 'client' });
  is(0, 'fedbiot_gpu_seconds_total', { role: 'client' });
  is(2 ** 28 + 4, 'fedbiot_peak_memory_bytes', { role: 'server' });
  is(2 ** 27, 'fedbiot_peak_memory_bytes', { role: 'client' });
  // From the sample's plan: 2 clients, and a package of the full model that is 1.6 times as large.
  is(2 * (4_000_000 - 2_400_000) + 320_000 * 0.6, 'fedbiot_saved_bytes');
  is(1400 * (1_600 - 1_000) - 1200 * 2_000, 'fedbiot_saved_flops');
});

t.test('counters exist from the start, measurements do not', async (t) => {
  const series = await told([]);
  for (const reason of REFUSAL_REASONS) t.equal(series.value('fedbiot_refused_results_total', { reason }), 0);
  for (const phase of ['align', 'local', 'aggregate', 'evaluate'])
    t.equal(series.value('fedbiot_round_duration_seconds_count', { phase }), 0);
  for (const role of ['server', 'client']) {
    for (const name of ['fedbiot_trained_tokens_total', 'fedbiot_cpu_seconds_total', 'fedbiot_gpu_seconds_total'])
      t.equal(series.value(name, { role }), 0, name);
  }
  t.equal(series.value('fedbiot_delta_bytes_total', { direction: 'down' }), 0);
  t.equal(series.value('fedbiot_round'), 0);
  t.equal(series.value('fedbiot_emulator_layer_dropout_ratio'), 0.4, 'as asked');
  const measured = [
    'accuracy_ratio',
    'loss',
    'alignment_gap',
    'public_alignment_gap',
    'last_progress_timestamp_seconds',
    'peak_memory_bytes',
    'saved_bytes',
    'saved_flops',
  ];
  for (const name of measured) t.same(series.all(`fedbiot_${name}`), [], name);
});

t.test('a resumed process continues the counters of the one before', async (t) => {
  const events = sampleEvents(4);
  const second = events.findIndex((event) => event.event === 'phase' && event.round === 3);
  const whole = await told(events);
  const resumed = await told(events.slice(second), events.slice(0, second));
  for (const { name, labels, value } of whole.samples.filter(({ name }) =>
    /^fedbiot_(?!step|round_duration)/.test(name),
  )) {
    t.equal(resumed.value(name, labels), value, `${name} ${JSON.stringify(labels)}`);
  }
  t.equal(
    resumed.value('fedbiot_round_duration_seconds_count', { phase: 'local' }),
    2,
    'durations are those of this process',
  );
});

t.test('a refusal is counted by its reason', async (t) => {
  const series = await told([{ event: 'client', round: 1, client: 0, outcome: 'refused', reason: 'late' }]);
  t.equal(series.value('fedbiot_refused_results_total', { reason: 'late' }), 1);
});

t.test('a loss that is not a number is not exported', async (t) => {
  const score = { accuracy: null, loss: Number.NaN };
  const series = await told([{ event: 'evaluation', round: 1, base: score, adapEmu: score, adapFu: score }]);
  t.same(series.all('fedbiot_loss'), []);
  t.same(series.all('fedbiot_alignment_gap'), []);
});

t.test('metrics, health and readiness over HTTP', async (t) => {
  const { registry } = serverMetrics(LABELS, jobFacts);
  let isReady = false;
  const server = await serveMetrics(registry, { host: '127.0.0.1', port: 0, isReady: () => isReady });
  t.teardown(() => server.close());
  const get = (path: string) => fetch(`http://127.0.0.1:${server.port}${path}`);
  const metrics = await get('/metrics');
  t.match(metrics.headers.get('content-type'), /^text\/plain; version=0\.0\.4/);
  const scrape = new Scrape(await metrics.text());
  t.ok((scrape.value('process_cpu_seconds_total', LABELS) ?? 0) > 0);
  t.ok(scrape.types.has('nodejs_eventloop_lag_p99_seconds'));
  t.equal((await get('/healthz')).status, 200);
  t.equal((await get('/readyz')).status, 503);
  isReady = true;
  t.equal((await get('/readyz')).status, 200);
  t.equal((await get('/elsewhere')).status, 404);
});
