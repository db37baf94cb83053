import { Registry } from 'prom-client';
import t from 'tap';
import { queueMetric } from '../../worker/metrics/queue-metric.ts';
import type { QueueLengths } from '../../worker/transport/redis/queue-lengths.ts';
import { Scrape } from '../support/scrape.ts';

/** A registry whose scrapes call the function of the test. */
function asking(ask: () => Promise<QueueLengths | null>, patienceMs: number) {
  const registry = new Registry();
  queueMetric(registry, { namespace: 'ns', job: 'sample' }, ask, patienceMs);
  return async () => new Scrape(await registry.metrics());
}

const LONG_MS = 60_000;

t.test('each scrape reads the queues', async (t) => {
  let tasks = 0;
  const scrape = asking(async () => ({ tasks: ++tasks, results: 0 }), LONG_MS);
  for (const expected of [1, 2]) {
    const series = await scrape();
    t.equal(series.value('fedbiot_queue_jobs', { namespace: 'ns', job: 'sample', queue: 'tasks' }), expected);
    t.equal(series.value('fedbiot_queue_jobs', { namespace: 'ns', job: 'sample', queue: 'results' }), 0);
  }
});

t.test('a Redis that hangs does not delay scrapes and gets one request; one that is down has no series', async (t) => {
  const hanging = Promise.withResolvers<QueueLengths | null>();
  let asked = 0;
  const scrape = asking(() => (++asked, hanging.promise), 10);
  for (let each = 0; each < 3; each++) t.same((await scrape()).all('fedbiot_queue_jobs'), []);
  t.equal(asked, 1);
  hanging.reject(new Error('connection lost'));
  t.same((await scrape()).all('fedbiot_queue_jobs'), [], 'a failure is no number');

  let answer: QueueLengths | null = { tasks: 3, results: 1 };
  const other = asking(async () => answer, LONG_MS);
  t.equal((await other()).all('fedbiot_queue_jobs').length, 2);
  answer = null;
  t.same((await other()).all('fedbiot_queue_jobs'), [], 'what was known before is not told again');
});
