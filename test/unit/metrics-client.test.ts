import t from 'tap';
import { clientMetrics, TASK_OUTCOMES } from '../../worker/metrics/client-metrics.ts';
import { Scrape } from '../support/scrape.ts';

t.test('a client pod in numbers, every series of what is counted there from the beginning', async (t) => {
  const metrics = clientMetrics({ namespace: 'ns', job: 'sample' }, () => 7_000);
  const value = async (name: string, labels: Readonly<Record<string, string>> = {}) =>
    new Scrape(await metrics.registry.metrics()).value(name, { namespace: 'ns', job: 'sample', ...labels });
  for (const outcome of TASK_OUTCOMES) t.equal(await value('fedbiot_tasks_total', { outcome }), 0);
  t.equal(await value('fedbiot_bundle_bytes'), 0);
  t.equal(await value('fedbiot_step_duration_seconds_count', { phase: 'local' }), 0);
  t.equal(await value('fedbiot_delta_bytes_total', { direction: 'up' }), 0);
  t.equal(await value('fedbiot_trained_tokens_total', { role: 'client' }), 0);
  for (const name of ['fedbiot_loss', 'fedbiot_last_progress_timestamp_seconds'])
    t.equal(await value(name), undefined, `${name}: there was no step`);
  metrics.step({ loss: 2, tokens: 30, ms: 500 });
  metrics.step({ loss: 1.5, tokens: 12, ms: 250 });
  metrics.task('answered');
  metrics.transferred('up', 7);
  metrics.bundle(1000);
  t.equal(await value('fedbiot_trained_tokens_total', { role: 'client' }), 42);
  t.equal(await value('fedbiot_step_duration_seconds_sum', { phase: 'local' }), 0.75);
  t.equal(await value('fedbiot_loss', { phase: 'local' }), 1.5);
  t.equal(await value('fedbiot_tasks_total', { outcome: 'answered' }), 1);
  t.equal(await value('fedbiot_delta_bytes_total', { direction: 'up' }), 7);
  t.equal(await value('fedbiot_bundle_bytes'), 1000);
  t.equal(await value('fedbiot_last_progress_timestamp_seconds'), 7);
  t.type(await value('nodejs_eventloop_lag_seconds'), 'number');
});
