import { readFileSync } from 'node:fs';
import { Registry } from 'prom-client';
import t from 'tap';
import { parseManifest } from '../../crds/parse.ts';
import { jobMetrics } from '../../operator/metrics/job-metrics.ts';
import type { JobView } from '../../operator/metrics/job-metrics.ts';
import { operatorMetrics } from '../../operator/metrics/operator-metrics.ts';
import type { JobObject } from '../../operator/reconcile/ports.ts';
import type { JobProgress } from '../../worker/cluster/progress.ts';
import { REFUSAL_REASONS } from '../../worker/transport/refusal.ts';

const manifest = parseManifest(readFileSync(new URL('../../examples/quickstart.yaml', import.meta.url), 'utf8'), 'quickstart.yaml');
const job: JobObject = { ...manifest, metadata: { name: 'tune', namespace: 'team', uid: 'u-1' } };

const progress: JobProgress = {
  fence: 1,
  sequence: 4,
  at: '2026-01-01T00:00:00Z',
  phase: 'Training',
  round: 3,
  finishedRounds: 2,
  rounds: 10,
  clients: { selected: 4, reported: 2, dropped: 1, refused: 1 },
  refusals: { late: 3 },
  alignmentLoss: 0.25,
  localLoss: null,
  evaluation: {
    round: 2,
    base: { accuracy: 0, loss: 5 },
    adapEmu: { accuracy: null, loss: 2 },
    adapFu: { accuracy: 0.75, loss: 1 },
  },
  adapterSha256: null,
};

const linesOf = async (registry: Registry, name: string) =>
  (await registry.metrics()).split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));

t.test("a job's series follow what is known of it, and go with it", async (t) => {
  const registry = new Registry();
  const views: JobView[] = [{ job, progress: null }];
  jobMetrics(registry, () => views);
  const of = (name: string) => linesOf(registry, name);
  const labels = 'namespace="team",job="tune"';

  t.same(await of('fedbiot_round'), [`fedbiot_round{${labels}} 0`]);
  t.equal((await of('fedbiot_refused_results_total')).length, REFUSAL_REASONS.length, 'every reason, before it happens');
  t.ok((await of('fedbiot_job_phase')).includes(`fedbiot_job_phase{${labels},phase="Pending"} 1`));
  t.same(await of('fedbiot_loss'), [], 'what is not known is not told');

  views[0] = { job: { ...job, status: { phase: 'Running' } }, progress };
  t.same(await of('fedbiot_job_phase'), [
    `fedbiot_job_phase{${labels},phase="Pending"} 0`,
    `fedbiot_job_phase{${labels},phase="Suspended"} 0`,
    `fedbiot_job_phase{${labels},phase="Running"} 1`,
    `fedbiot_job_phase{${labels},phase="Succeeded"} 0`,
    `fedbiot_job_phase{${labels},phase="Failed"} 0`,
  ]);
  t.same(await of('fedbiot_job_info'), [`fedbiot_job_info{${labels},method="FedBiOT",task="qa"} 1`]);
  t.same(await of('fedbiot_round'), [`fedbiot_round{${labels}} 2`]);
  t.same(await of('fedbiot_rounds'), [`fedbiot_rounds{${labels}} 10`]);
  t.ok((await of('fedbiot_clients')).includes(`fedbiot_clients{${labels},state="reported"} 2`));
  t.same(await of('fedbiot_client_dropout_ratio'), [`fedbiot_client_dropout_ratio{${labels}} 0.25`]);
  t.same(await of('fedbiot_emulator_layer_dropout_ratio'), [`fedbiot_emulator_layer_dropout_ratio{${labels}} 0.5`]);
  t.same(await of('fedbiot_accuracy_ratio'), [
    `fedbiot_accuracy_ratio{${labels},model="base",task="qa"} 0`,
    `fedbiot_accuracy_ratio{${labels},model="adap_fu",task="qa"} 0.75`,
  ]);
  t.same(await of('fedbiot_loss'), [`fedbiot_loss{${labels},phase="alignment"} 0.25`, `fedbiot_loss{${labels},phase="eval"} 1`]);
  for (let scrape = 0; scrape < 2; scrape++) {
    t.ok((await of('fedbiot_refused_results_total')).includes(`fedbiot_refused_results_total{${labels},reason="late"} 3`), 'a scrape counts nothing');
  }

  views.length = 0;
  t.notMatch(await registry.metrics(), /tune/);
});

t.test("the operator's own metrics have controller-runtime's names and begin at 0", async (t) => {
  const registry = new Registry();
  const metrics = operatorMetrics(registry, { workers: 4, lease: 'fedbiot-operator' });
  const of = (name: string) => linesOf(registry, name);
  t.same(await of('controller_runtime_reconcile_errors_total'), ['controller_runtime_reconcile_errors_total{controller="fedbiotjob"} 0']);
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
  t.same(await of('controller_runtime_active_workers'), ['controller_runtime_active_workers{controller="fedbiotjob"} 0']);
  t.same(await of('controller_runtime_reconcile_total'), [
    'controller_runtime_reconcile_total{controller="fedbiotjob",result="success"} 0',
    'controller_runtime_reconcile_total{controller="fedbiotjob",result="error"} 1',
    'controller_runtime_reconcile_total{controller="fedbiotjob",result="requeue"} 0',
    'controller_runtime_reconcile_total{controller="fedbiotjob",result="requeue_after"} 1',
  ]);
  t.same(await of('controller_runtime_reconcile_time_seconds_count'), ['controller_runtime_reconcile_time_seconds_count{controller="fedbiotjob"} 2']);

  metrics.queue.added(1);
  metrics.queue.added(2);
  metrics.queue.taken(1, 0.5);
  metrics.queue.done(0.25);
  metrics.queue.retried();
  t.same(await of('workqueue_depth'), ['workqueue_depth{name="fedbiotjob"} 1']);
  t.same(await of('workqueue_adds_total'), ['workqueue_adds_total{name="fedbiotjob"} 2']);
  t.same(await of('workqueue_retries_total'), ['workqueue_retries_total{name="fedbiotjob"} 1']);
  t.same(await of('workqueue_queue_duration_seconds_sum'), ['workqueue_queue_duration_seconds_sum{name="fedbiotjob"} 0.5']);
  t.same(await of('workqueue_work_duration_seconds_sum'), ['workqueue_work_duration_seconds_sum{name="fedbiotjob"} 0.25']);

  metrics.request('GET', '10.0.0.1:443', 200);
  metrics.request('GET', '10.0.0.1:443', '<error>');
  t.equal((await of('rest_client_requests_total')).length, 2);
  metrics.leading(true);
  metrics.redisConnected(true);
  t.same(await of('leader_election_master_status'), ['leader_election_master_status{name="fedbiot-operator"} 1']);
  t.same(await of('fedbiot_operator_redis_connected'), ['fedbiot_operator_redis_connected 1']);
});
