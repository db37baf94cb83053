import t from 'tap';
import { foldProgress, initialProgress } from '../../worker/cluster/fold-progress.ts';
import type { RunEvent } from '../../worker/events.ts';
import { serveMetrics } from '../../worker/metrics/metrics-server.ts';
import { serverMetrics } from '../../worker/metrics/server-metrics.ts';
import { REFUSAL_REASONS } from '../../worker/transport/refusal.ts';
import { sampleEvents } from '../support/sample-run.ts';

const facts = { rounds: 4, clientsPerRound: 2, localSteps: 2 };

/** The value of a series by its labels, besides namespace and job, which every series must have. */
async function values(events: readonly RunEvent[]): Promise<Map<string, number>> {
  const metrics = serverMetrics({ namespace: 'ns', job: 'sample' }, { task: 'tokens', rounds: 4 });
  let progress = initialProgress(facts);
  for (const event of events) {
    progress = foldProgress(progress, event, facts);
    metrics.observe(event, progress);
  }
  const series = new Map<string, number>();
  for (const line of (await metrics.registry.metrics()).split('\n')) {
    const found = /^(fedbiot_\w+)\{(.*)\} (\S+)$/.exec(line);
    if (found === null) continue;
    const labels = found[2]!.split(',');
    t.ok(labels.includes('namespace="ns"') && labels.includes('job="sample"'), `${found[1]} says of which job it is`);
    const rest = labels.filter((label) => !/^(namespace|job)=/.test(label)).sort();
    series.set([found[1], ...rest].join(' '), Number(found[3]));
  }
  return series;
}

t.test('a run in numbers', async (t) => {
  const series = await values(sampleEvents(4));
  const close = (name: string, value: number) => t.ok(Math.abs((series.get(name) ?? NaN) - value) < 1e-9, `${name} is ${series.get(name)}, not ${value}`);
  close('fedbiot_round', 4);
  close('fedbiot_rounds', 4);
  close('fedbiot_clients state="reported"', 2);
  close('fedbiot_client_dropout_ratio', 0);
  close('fedbiot_emulator_layer_dropout_ratio', 0.5);
  close('fedbiot_accuracy_ratio model="adap_fu" task="tokens"', 0.18);
  close('fedbiot_loss phase="alignment"', 0.25);
  close('fedbiot_loss phase="local"', 0.5);
  close('fedbiot_loss phase="eval"', 2.46);
  close('fedbiot_alignment_gap', 0.44);
  close('fedbiot_delta_bytes_total direction="up"', 128_000);
  close('fedbiot_trained_tokens_total', (4 * 3 + 7 * 2) * 100);
  close('fedbiot_step_duration_seconds_sum phase="align"', 12 * 0.05);
  close('fedbiot_round_duration_seconds_sum phase="align"', 65);
  close('fedbiot_round_duration_seconds_count phase="local"', 4);
});

t.test('every series is there before anything happened', async (t) => {
  const series = await values([]);
  for (const reason of REFUSAL_REASONS) t.equal(series.get(`fedbiot_refused_results_total reason="${reason}"`), 0);
  for (const phase of ['align', 'local', 'aggregate', 'evaluate']) t.equal(series.get(`fedbiot_round_duration_seconds_count phase="${phase}"`), 0);
  for (const name of ['fedbiot_round', 'fedbiot_trained_tokens_total', 'fedbiot_alignment_gap', 'fedbiot_delta_bytes_total direction="down"']) t.equal(series.get(name), 0);
});

t.test('a refusal is counted by its reason', async (t) => {
  const series = await values([{ event: 'client', round: 1, client: 0, outcome: 'refused', reason: 'late' }]);
  t.equal(series.get('fedbiot_refused_results_total reason="late"'), 1);
});

t.test('metrics, health and readiness over HTTP', async (t) => {
  const { registry } = serverMetrics({ namespace: 'ns', job: 'sample' }, { task: 'tokens', rounds: 4 });
  let isReady = false;
  const server = await serveMetrics(registry, { host: '127.0.0.1', port: 0, isReady: () => isReady });
  t.teardown(() => server.close());
  const get = (path: string) => fetch(`http://127.0.0.1:${server.port}${path}`);
  const metrics = await get('/metrics');
  t.match(metrics.headers.get('content-type'), /^text\/plain; version=0\.0\.4/);
  t.match(await metrics.text(), /process_cpu_seconds_total\{namespace="ns",job="sample"\}/);
  t.equal((await get('/healthz')).status, 200);
  t.equal((await get('/readyz')).status, 503);
  isReady = true;
  t.equal((await get('/readyz')).status, 200);
  t.equal((await get('/elsewhere')).status, 404);
});
