import t from 'tap';
import { graphOf } from '../support/import-graph.ts';

t.test('the operator loads nothing that computes: its image has no engine', async (t) => {
  const { files, packages } = graphOf('operator/main.ts');
  t.ok(files.includes('operator/reconcile/reconcile.ts'), 'the graph is walked');
  t.strictSame(
    files.filter((file) => file.startsWith('worker/')),
    [
      'worker/cluster/hub-route.ts',
      'worker/cluster/pod.ts',
      'worker/cluster/redis-keys.ts',
      'worker/cost/run-cost.ts',
      'worker/files/sha256.ts',
      'worker/http/bounded-server.ts',
      'worker/metrics/cost-series.ts',
      'worker/metrics/job-series.ts',
      'worker/metrics/series.ts',
      'worker/report/format.ts',
      'worker/report/report-schema.ts',
      'worker/transport/redis/message-throttle.ts',
      'worker/transport/redis/redis-cluster.ts',
      'worker/transport/redis/redis-url.ts',
      'worker/transport/redis/unusable.ts',
    ],
    'of worker: names, shapes, metrics of a job, how Redis is reached, how an HTTP server bounds its callers, and logs their repetition',
  );
  t.notOk(
    packages.some((name) => /onnx|huggingface|echarts|bullmq/.test(name)),
    packages.join(' '),
  );
});

t.test('the walk finds an engine where there is one', async (t) => {
  t.ok(graphOf('worker/engine/compute-child.ts').packages.includes('onnxruntime-node'));
});
