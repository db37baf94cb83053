// Jobs in queues of a real Kueue: one Workload has both roles of a job.
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { noControllers } from '../support/control-plane.ts';
import { Helm, noHelm } from '../support/helm.ts';
import { noKueue, startKueue } from '../support/kueue.ts';
import { QueueLab } from '../support/kueue-queues.ts';
import { startLab } from '../support/operator-lab.ts';
import { noRedis, startRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';

t.test('jobs in queues of Kueue', { skip: noControllers || noRedis || noKueue, timeout: 900_000 }, async (t) => {
  const lab = await startLab(t);
  await startKueue(t, lab.plane);
  const redis = await startRedis(t);
  const operator = await lab.operator(redis.url);
  await operator.logged('this replica leads');

  t.test('an admitted job runs on the nodes of its flavor, with the client pods that its quota holds', async (t) => {
    const tolerations = [{ key: 'spot', operator: 'Exists', effect: 'NoSchedule' }];
    const flavor = { nodeLabels: { pool: 'spot' }, tolerations };
    const team = await QueueLab.create(lab, 'flavors', '2', flavor);
    const client = { pods: 4, minPods: 1, resources: { requests: { cpu: '700m' } }, nodeSelector: { disk: 'ssd' } };
    await team.job('tune', { client });
    const admitted = await team.workloadIs('tune', 'Admitted', 'True');
    t.match(admitted.status?.admission?.podSetAssignments, [
      { name: 'server', count: 1 },
      { name: 'client', count: 2, flavors: { cpu: 'flavors' } },
    ]);
    await team.runs('tune');
    t.equal((await lab.batchJob('flavors', 'tune-clients'))?.spec?.parallelism, 2);
    for (const [role, nodeSelector] of [
      ['server', { pool: 'spot' }],
      ['client', { pool: 'spot', disk: 'ssd' }],
    ] as const) {
      const { metadata } = await lab.pod('flavors', 'tune', role);
      const spec: unknown = JSON.parse(
        await lab.kubectl('get', 'pod', metadata.name, '--namespace', 'flavors', '--output', 'json'),
      );
      t.match(spec, { spec: { nodeSelector } });
      t.match(JSON.stringify(spec), /"key":"spot"/);
    }
    const job = await lab.jobIn('Running', 'flavors', 'tune');
    t.match(
      job.status?.conditions?.find(({ type }) => type === 'QuotaReserved'),
      { status: 'True', message: 'Quota reserved in ClusterQueue flavors, for 2 of 4 client pods.' },
    );
  });

  t.test('a job waits for the end of another', async (t) => {
    const team = await QueueLab.create(lab, 'ends', '1500m');
    await team.job('first');
    await team.runs('first');
    await team.workloadIs('first', 'PodsReady', 'True');
    await team.job('second', { activeDeadlineSeconds: 3600 });
    const waits = await lab.jobThat('waits', 'ends', 'second', ({ status }) =>
      /insufficient unused quota for cpu/.test(status?.message ?? ''),
    );
    t.match(waits.status, { phase: 'Pending', startTime: undefined });
    t.strictSame(await team.batchJobs(), ['first-clients', 'first-server']);
    await team.succeeds('first');
    await team.workloadIs('first', 'Finished', 'True', 'Succeeded');
    await team.runs('second');
    const { status } = await lab.jobIn('Running', 'ends', 'second');
    const admitted = (await team.workload('second'))?.status?.conditions?.find(({ type }) => type === 'Admitted');
    t.equal(status?.startTime, admitted?.lastTransitionTime, 'its deadline counts from the admission');
    await lab.jobThat(
      'has given its quota back',
      'ends',
      'first',
      (job) =>
        job.status?.conditions?.some(({ type, reason }) => type === 'QuotaReserved' && reason === 'Finished') === true,
    );
  });

  t.test('quota for one and a half jobs: never one role without the other', async (t) => {
    const team = await QueueLab.create(lab, 'half', '1800m');
    const names = ['a', 'b', 'c'];
    for (const name of names) await team.job(name);
    while (names.length > 0) {
      const running = await until('one job is admitted', 60, async () => {
        const jobs = await team.batchJobs();
        return jobs.length < 2 ? null : (names.find((name) => jobs[0]?.startsWith(name)) ?? null);
      });
      await team.runs(running);
      t.strictSame(await team.batchJobs(), [`${running}-clients`, `${running}-server`]);
      await team.succeeds(running);
      await lab.deleteJob('half', running);
      names.splice(names.indexOf(running), 1);
      await team.gone(running);
    }
  });

  t.test('a higher priority preempts both roles, and later the job goes on', async (t) => {
    const team = await QueueLab.create(lab, 'priority', '1500m');
    for (const [name, value] of [
      ['low', 1],
      ['high', 100],
    ] as const)
      await lab.apply({
        apiVersion: 'kueue.x-k8s.io/v1beta2',
        kind: 'WorkloadPriorityClass',
        metadata: { name },
        value,
      });
    const priority = (name: string) => ({ 'kueue.x-k8s.io/priority-class': name });
    await team.job('patient', {}, priority('low'));
    await team.runs('patient');
    await team.job('urgent', {}, priority('high'));
    await team.runs('urgent');
    t.strictSame(await team.batchJobs(), ['urgent-clients', 'urgent-server']);
    const { status } = await lab.jobIn('Pending', 'priority', 'patient');
    t.equal(status?.startTime, undefined);
    await team.workloadIs('patient', 'QuotaReserved', 'False', 'Pending');
    t.match(await lab.kubectl('describe', 'fbj', 'patient', '--namespace', 'priority'), /Warning +Preempted/);
    await team.succeeds('urgent');
    await team.runs('patient');
  });

  t.test('suspend gives the quota away, and a resumed job queues again', async (t) => {
    const team = await QueueLab.create(lab, 'suspend', '1500m');
    await team.job('first');
    await team.runs('first');
    await team.job('second');
    await team.patchJob('first', { suspend: true });
    await team.runs('second');
    await team.gone('first');
    t.equal(await team.workload('first'), null);
    t.match(
      (await lab.jobIn('Suspended', 'suspend', 'first')).status?.conditions?.find(
        ({ type }) => type === 'QuotaReserved',
      ),
      { status: 'False', reason: 'Suspended' },
    );
    await team.patchJob('first', { suspend: false });
    await team.workloadIs('first', 'QuotaReserved', 'False');
    await team.succeeds('second');
    await team.runs('first');
  });

  t.test('a failure and a deadline give the quota away', async (t) => {
    const team = await QueueLab.create(lab, 'failure', '1500m');
    await team.job('wrong');
    await team.runs('wrong');
    await team.job('late', { activeDeadlineSeconds: 5 });
    // Longer than the deadline, which a job that waits does not have.
    await sleep(6_000);
    await team.job('last');
    t.equal((await lab.jobIn('Pending', 'failure', 'late')).status?.startTime, undefined);
    await lab.play('failure', 'wrong', 'server', { kind: 'ends', exitCode: 2 });
    await lab.jobIn('Failed', 'failure', 'wrong');
    await team.workloadIs('wrong', 'Finished', 'True', 'Failed');
    t.match((await lab.jobIn('Failed', 'failure', 'late')).status?.message, /activeDeadlineSeconds \(5 s\)/);
    await team.workloadIs('late', 'Finished', 'True', 'Failed');
    await team.runs('last');
  });

  t.test('an administrator drains a queue, stops a job, or deletes its Workload', async (t) => {
    const team = await QueueLab.create(lab, 'drain', '1500m');
    await team.job('tune');
    await team.runs('tune');
    await team.stop('HoldAndDrain');
    await team.gone('tune');
    await team.workloadIs('tune', 'QuotaReserved', 'False');
    t.match((await lab.jobIn('Pending', 'drain', 'tune')).status?.message, /ClusterQueue/);
    await team.stop('None');
    await team.runs('tune');

    const activate = (active: boolean) => {
      const patch = JSON.stringify({ spec: { active } });
      const args = ['workload', 'fedbiotjob-tune', '--namespace', 'drain', '--type=merge', '--patch', patch];
      return lab.kubectl('patch', ...args);
    };
    await activate(false);
    await team.gone('tune');
    await lab.jobThat('is deactivated', 'drain', 'tune', ({ status }) => /deactivated/.test(status?.message ?? ''));
    await activate(true);
    await team.runs('tune');

    const uids = async () => [await team.workload('tune'), await lab.batchJob('drain', 'tune-server')];
    const before = (await uids()).map((object) => object?.metadata.uid);
    await lab.kubectl('delete', 'workload', 'fedbiotjob-tune', '--namespace', 'drain');
    await until('another Workload admits other Jobs', 60, async () =>
      (await uids()).every((object) => object !== null && !before.includes(object.metadata.uid)) ? true : null,
    );
    await team.runs('tune');
  });

  t.test('a queue that does not exist yet, and labels that change', async (t) => {
    const team = await QueueLab.create(lab, 'labels', '1500m');
    await team.job('tune', {}, { 'kueue.x-k8s.io/queue-name': 'tema', 'kueue.x-k8s.io/priority-class': 'none' });
    const label = (queue: string) =>
      lab.kubectl('label', 'fbj', 'tune', '--namespace', 'labels', '--overwrite', ...queue.split(' '));
    await lab.jobThat('lacks a class', 'labels', 'tune', ({ status }) =>
      /no WorkloadPriorityClass none/.test(status?.message ?? ''),
    );
    await label('kueue.x-k8s.io/priority-class-');
    await lab.jobThat('is told', 'labels', 'tune', ({ status }) => /tema doesn't exist/.test(status?.message ?? ''));
    await label('kueue.x-k8s.io/queue-name=team');
    await team.runs('tune');
    await label('kueue.x-k8s.io/queue-name=other');
    const told = await lab.jobThat(
      'tells that it is late',
      'labels',
      'tune',
      ({ status }) =>
        status?.conditions?.some(({ type, reason }) => type === 'QuotaReserved' && reason === 'ChangeWaits') === true,
    );
    t.equal(told.status?.phase, 'Running');
  });
});

t.test(
  'Kueue that manages all Jobs of a namespace leaves those of a FedBiOTJob to its Workload, under the admission policy',
  { skip: noControllers || noRedis || noKueue || noHelm, timeout: 300_000 },
  async (t) => {
    const lab = await startLab(t);
    const policies = (await new Helm(t).template({})).filter(({ kind }) =>
      kind.startsWith('ValidatingAdmissionPolicy'),
    );
    for (const policy of policies) await lab.apply(policy);
    await startKueue(t, lab.plane, {
      manageJobsWithoutQueueName: true,
      integrations: { frameworks: ['batch/job'], externalFrameworks: ['FedBiOTJob.v1alpha1.fedbiot.io'] },
    });
    const redis = await startRedis(t);
    const operator = await lab.operator(redis.url);
    await operator.logged('this replica leads');
    const team = await QueueLab.create(lab, 'all', '1500m');
    await team.job('tune');
    await team.runs('tune');
    await team.stop('HoldAndDrain');
    await team.gone('tune');
    await team.stop('None');
    await team.runs('tune');
    await team.job('next');
    await team.succeeds('tune');
    await team.runs('next');
    t.notMatch(operator.output, /ValidatingAdmissionPolicy/);
    t.strictSame((await lab.kubectl('get', 'workloads', '--namespace', 'all', '--output', 'name')).trim().split('\n'), [
      'workload.kueue.x-k8s.io/fedbiotjob-next',
      'workload.kueue.x-k8s.io/fedbiotjob-tune',
    ]);
  },
);
