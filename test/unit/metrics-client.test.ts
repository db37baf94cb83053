import t from 'tap';
import { clientMetrics, TASK_OUTCOMES } from '../../worker/metrics/client-metrics.ts';
import { Scrape } from '../support/scrape.ts';

t.test(
  'a client pod in numbers, every series of what is counted there from the beginning; no series has the name of one of the job',
  async (t) => {
    const metrics = clientMetrics({ namespace: 'ns', job: 'sample' }, () => 7_000);
    const value = async (name: string, labels: Readonly<Record<string, string>> = {}) =>
      new Scrape(await metrics.registry.metrics()).value(name, { namespace: 'ns', job: 'sample', ...labels });
    for (const outcome of TASK_OUTCOMES) t.equal(await value('fedbiot_client_tasks_total', { outcome }), 0);
    t.equal(await value('fedbiot_client_bundle_bytes'), 0);
    t.equal(await value('fedbiot_client_step_duration_seconds_count'), 0);
    t.equal(await value('fedbiot_client_delta_bytes_total', { direction: 'up' }), 0);
    t.equal(await value('fedbiot_client_trained_tokens_total'), 0);
    for (const name of ['fedbiot_client_loss', 'fedbiot_last_progress_timestamp_seconds'])
      t.equal(await value(name), undefined, `${name}: there was no step`);
    metrics.heard();
    t.equal(await value('fedbiot_last_progress_timestamp_seconds'), 7);
    t.equal(await value('fedbiot_client_loss'), undefined, 'a sign of life without a step');
    metrics.step({ loss: 2, tokens: 30, ms: 500 });
    metrics.step({ loss: 1.5, tokens: 12, ms: 250 });
    metrics.task('answered');
    metrics.transferred('up', 7);
    metrics.bundle(1000);
    t.equal(await value('fedbiot_client_trained_tokens_total'), 42);
    t.equal(await value('fedbiot_client_step_duration_seconds_sum'), 0.75);
    t.equal(await value('fedbiot_client_loss'), 1.5);
    t.equal(await value('fedbiot_client_tasks_total', { outcome: 'answered' }), 1);
    t.equal(await value('fedbiot_client_delta_bytes_total', { direction: 'up' }), 7);
    t.equal(await value('fedbiot_client_bundle_bytes'), 1000);
    t.equal(await value('fedbiot_last_progress_timestamp_seconds'), 7);
    t.type(await value('nodejs_eventloop_lag_seconds'), 'number');
    const names = metrics.registry.getMetricsAsArray().map(({ name }) => name);
    t.strictSame(
      names.filter((name) => name.startsWith('fedbiot_') && !name.startsWith('fedbiot_client_')),
      ['fedbiot_last_progress_timestamp_seconds'],
    );
  },
);
