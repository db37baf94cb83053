// docs/operations/metrics.md lists exactly the existing metrics, with their labels and sources.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import t from 'tap';
import { jobMetrics } from '../../operator/job-metrics/job-metrics.ts';
import { operatorMetrics } from '../../operator/metrics/operator-metrics.ts';
import { unreadableObjects } from '../../operator/metrics/unreadable-objects.ts';
import { progressStatus } from '../../operator/status/progress-status.ts';
import type { RunEvent } from '../../crds/facts/events.ts';
import type { Score } from '../../crds/facts/score.ts';
import { foldProgress, initialProgress, reportedProgress } from '../../worker/report/fold-progress.ts';
import { clientMetrics } from '../../worker/metrics/client-metrics.ts';
import { factsOf } from '../../worker/metrics/job-series.ts';
import { queueMetric } from '../../worker/metrics/queue-metric.ts';
import { serveRunMetrics } from '../../worker/metrics/run-metrics.ts';
import { serverMetrics } from '../../worker/metrics/server-metrics.ts';
import { ROOT } from '../support/documents.ts';
import { jobObject } from '../support/planned-job.ts';
import { sampleProgress } from '../support/sample-progress.ts';
import { sampleEvents } from '../support/sample-run.ts';
import { Scrape } from '../support/scrape.ts';

/** Labels by metric. Node's own metrics are not listed. */
type Metrics = ReadonlyMap<string, readonly string[]>;

const JOB = { namespace: 'lab', job: 'tiny' };
/** A task with partial credit, so that every series of a job has a sample. */
const withF1 = (score: Score): Score => ({ ...score, f1: 0.5 });
const events = sampleEvents(4).map((event): RunEvent => {
  if (event.event !== 'evaluation') return event;
  return { ...event, base: withF1(event.base), adapEmu: withF1(event.adapEmu), adapFu: withF1(event.adapFu) };
});
const facts = { rounds: 4, clientsPerRound: 2, localSteps: 2 };
const progress = events.reduce((before, event) => foldProgress(before, event, facts), initialProgress(facts));
const spec = {
  evaluation: { task: 'qa' },
  data: { train: { uri: 'train.jsonl' }, public: { uri: 'public.jsonl' }, eval: { uri: 'eval.jsonl' } },
};

function metricsIn(text: string): Metrics {
  const scrape = new Scrape(text);
  const own = [...scrape.types.keys()].filter((name) => !/^(?:process|nodejs)_/.test(name));
  return new Map(
    own.map((name) => {
      const samples = [name, `${name}_count`].flatMap((each) => scrape.all(each));
      if (samples.length === 0) throw new Error(`${name} has no sample here: its labels cannot be known`);
      const labels = new Set(samples.flatMap(({ labels }) => Object.keys(labels)));
      return [name, [...labels].filter((label) => !(label in JOB)).sort()];
    }),
  );
}

async function ofOperator(): Promise<Metrics> {
  const registry = new Registry();
  const metrics = operatorMetrics(registry, { workers: 1, lease: 'lease' });
  metrics.redisMemory({ used: 1, max: 2 });
  metrics.request('GET', 'host', 200);
  metrics.watch.added('pods');
  unreadableObjects(registry, () => new Map([['pods', 1]]));
  // No job has both, but every series of a job has a sample.
  const conditions = [
    { type: 'Failed', status: 'True', reason: 'NotFinite' } as const,
    { type: 'QuotaReserved', status: 'False', reason: 'Pending' } as const,
  ].map((condition) => ({ ...condition, message: '', lastTransitionTime: '2026-01-01T00:00:00Z' }));
  const told = { ...sampleProgress(), ...reportedProgress(progress) };
  const job = jobObject(spec, { status: { ...progressStatus(told), phase: 'Pending', conditions } });
  jobMetrics(registry, () => [{ job, progress: told, pods: [] }]);
  return metricsIn(await registry.metrics());
}

async function ofServer(): Promise<Metrics> {
  const metrics = serverMetrics(JOB, factsOf(jobObject(spec).spec));
  queueMetric(metrics.registry, JOB, async () => ({ tasks: 0, results: 0 }));
  for (const event of events) metrics.observe(event, progress);
  return metricsIn(await metrics.registry.metrics());
}

async function ofClient(): Promise<Metrics> {
  const metrics = clientMetrics(JOB);
  metrics.step({ loss: 1, tokens: 1, ms: 1 });
  return metricsIn(await metrics.registry.metrics());
}

const SOURCES = { operator: await ofOperator(), server: await ofServer(), client: await ofClient() };

interface Row {
  readonly name: string;
  /** null: only the operator. */
  readonly from: readonly string[] | null;
  readonly labels: readonly string[];
}

const wordsIn = (cell: string) =>
  cell
    .replaceAll(/\([^)]*\)/g, '')
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');

function rowsOf(page: string): Row[] {
  const rows = page
    .split('\n')
    .filter((line) => /^\| (?!metric|---)/.test(line))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  return rows.flatMap(([names = '', ...cells]) => {
    const [labels = '', from] = cells.length === 3 ? [cells[1], cells[0]] : [cells[0]];
    return wordsIn(names).map((name) => ({
      name,
      from: from === undefined ? null : wordsIn(from),
      labels: wordsIn(labels).sort(),
    }));
  });
}

const page = readFileSync(join(ROOT, 'docs/operations/metrics.md'), 'utf8');
const rows = rowsOf(page);

t.test('every listed metric exists, with the listed sources and labels', async (t) => {
  for (const { name, from, labels } of rows) {
    const tellers = Object.entries(SOURCES).filter(([, metrics]) => metrics.has(name));
    t.same(
      tellers.map(([source]) => source),
      from ?? ['operator'],
      `who tells ${name}`,
    );
    for (const [source, metrics] of tellers) t.same(metrics.get(name), labels, `labels of ${name} from the ${source}`);
  }
  t.ok(rows.length > 40, `${rows.length} metrics`);
  const known = new Set(rows.map(({ name }) => name));
  for (const [name] of page.matchAll(/\bfedbiot_\w+/g)) t.ok(known.has(name), `${name} has a row`);
});

t.test('every existing metric is listed', async (t) => {
  const known = rows.map(({ name }) => name);
  t.same(
    known.filter((name, index) => known.indexOf(name) !== index),
    [],
    'once',
  );
  const all = new Set(Object.values(SOURCES).flatMap((metrics) => [...metrics.keys()]));
  t.same(
    [...all].filter((name) => !known.includes(name)),
    [],
  );
});

t.test('an embedded run exports the metrics of a server pod except the queues, and the job itself', async (t) => {
  const { metadata, spec: whole } = jobObject(spec);
  const job = { apiVersion: 'fedbiot.io/v1alpha1', kind: 'FedBiOTJob', metadata, spec: whole } as const;
  const run = await serveRunMetrics(job, { host: '127.0.0.1', port: 0 });
  t.teardown(run.close);
  for (const event of events) run.hear(event);
  const metrics = metricsIn(await (await fetch(run.url)).text());
  const expected = new Map([
    ...SOURCES.server,
    ...[...SOURCES.operator].filter(([name]) => /^fedbiot_job_(?:info|phase)$/.test(name)),
  ]);
  expected.delete('fedbiot_queue_jobs');
  t.same([...metrics].sort(), [...expected].sort());
});
