// The operator’s own metrics.
import { Registry } from 'prom-client';
import t from 'tap';
import { operatorMetrics } from '../../operator/metrics/operator-metrics.ts';
import { linesOf } from '../support/metric-lines.ts';

t.test("the operator's own metrics have controller-runtime's names and begin at 0", async (t) => {
  const registry = new Registry();
  const metrics = operatorMetrics(registry, { workers: 4, lease: 'fedbiot-operator' });
  const of = (name: string) => linesOf(registry, name);
  t.same(await of('controller_runtime_reconcile_errors_total'), [
    'controller_runtime_reconcile_errors_total{controller="fedbiotjob"} 0',
  ]);
  t.same(await of('leader_election_master_status'), ['leader_election_master_status{name="fedbiot-operator"} 0']);

  const inside = await metrics.reconcile(
    () => of('controller_runtime_active_workers'),
    () => 'requeue_after',
  );
  t.same(inside, ['controller_runtime_active_workers{controller="fedbiotjob"} 1']);
  await t.rejects(
    metrics.reconcile(
      () => Promise.reject(new Error('conflict')),
      () => 'success',
    ),
    { message: 'conflict' },
  );
  t.same(await of('controller_runtime_active_workers'), [
    'controller_runtime_active_workers{controller="fedbiotjob"} 0',
  ]);
  t.same(await of('controller_runtime_reconcile_total'), [
    'controller_runtime_reconcile_total{controller="fedbiotjob",result="success"} 0',
    'controller_runtime_reconcile_total{controller="fedbiotjob",result="error"} 1',
    'controller_runtime_reconcile_total{controller="fedbiotjob",result="requeue"} 0',
    'controller_runtime_reconcile_total{controller="fedbiotjob",result="requeue_after"} 1',
  ]);
  t.same(await of('controller_runtime_reconcile_time_seconds_count'), [
    'controller_runtime_reconcile_time_seconds_count{controller="fedbiotjob"} 2',
  ]);

  metrics.queue.added(1);
  metrics.queue.added(2);
  metrics.queue.taken(1, 0.5);
  metrics.queue.done(0.25);
  metrics.queue.retried();
  t.same(await of('workqueue_depth'), ['workqueue_depth{name="fedbiotjob"} 1']);
  t.same(await of('workqueue_adds_total'), ['workqueue_adds_total{name="fedbiotjob"} 2']);
  t.same(await of('workqueue_retries_total'), ['workqueue_retries_total{name="fedbiotjob"} 1']);
  t.same(await of('workqueue_queue_duration_seconds_sum'), [
    'workqueue_queue_duration_seconds_sum{name="fedbiotjob"} 0.5',
  ]);
  t.same(await of('workqueue_work_duration_seconds_sum'), [
    'workqueue_work_duration_seconds_sum{name="fedbiotjob"} 0.25',
  ]);

  metrics.request('GET', '10.0.0.1:443', 200);
  metrics.request('GET', '10.0.0.1:443', '<error>');
  t.equal((await of('rest_client_requests_total')).length, 2);
  metrics.leading(true);
  metrics.redisConnected(true);
  t.same(await of('leader_election_master_status'), ['leader_election_master_status{name="fedbiot-operator"} 1']);
  t.same(await of('fedbiot_operator_redis_connected'), ['fedbiot_operator_redis_connected 1']);

  const memory = async () => [
    ...(await of('fedbiot_operator_redis_memory_used_bytes')),
    ...(await of('fedbiot_operator_redis_memory_max_bytes')),
  ];
  t.same(await memory(), [], 'nothing is known of Redis');
  metrics.redisMemory({ used: 5, max: 0 });
  t.same(await memory(), ['fedbiot_operator_redis_memory_used_bytes 5', 'fedbiot_operator_redis_memory_max_bytes 0']);
  metrics.redisMemory(null);
  t.same(await memory(), []);

  metrics.watch.added('pods');
  metrics.watch.added('fedbiotjobs');
  metrics.watch.restarted('pods');
  t.same(await of('fedbiot_operator_watch_restarts_total'), [
    'fedbiot_operator_watch_restarts_total{resource="pods"} 1',
    'fedbiot_operator_watch_restarts_total{resource="fedbiotjobs"} 0',
  ]);
});
