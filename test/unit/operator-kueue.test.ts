// Jobs in a queue of Kueue: what is planned for each state of their Workload.
import t from 'tap';
import type { Outcome } from '../../operator/objects/outcome.ts';
import { eventsBetween } from '../../operator/status/events.ts';
import { batchJob, condition, iso, look } from '../support/observed-job.ts';
import { jobObject } from '../support/planned-job.ts';
import {
  QUEUE,
  PRIORITY,
  queued,
  KUEUE,
  RESERVED,
  ADMITTED,
  PREEMPTED,
  WAITS,
  workload,
  RUNS,
  seen,
  actions,
  writes,
  built,
} from '../support/queued-job.ts';
import type { Told } from '../support/queued-job.ts';

t.test('one Workload has both roles, with their templates and the least number of client pods', async (t) => {
  const job = queued({ client: { pods: 4, minPods: 2, resources: { requests: { cpu: '700m' } } } });
  const { workload: made, serverJob } = built(job, seen({}));
  t.match(made, {
    apiVersion: 'kueue.x-k8s.io/v1beta2',
    metadata: { name: 'fedbiotjob-tiny', ownerReferences: [{ kind: 'FedBiOTJob', controller: true }] },
    spec: {
      queueName: 'gpus',
      podSets: [
        { name: 'server', count: 1, minCount: undefined, template: { spec: { containers: [{ name: 'worker' }] } } },
        {
          name: 'client',
          count: 4,
          minCount: 2,
          template: { spec: { containers: [{ resources: { requests: { cpu: '700m' } } }] } },
        },
      ],
    },
  });
  t.notOk(JSON.stringify(serverJob?.metadata).includes('kueue'), 'Kueue must not admit each role by itself');
  t.equal(built(jobObject(), seen({})).workload, null);
});

t.test('pods wait for admission, and get what Kueue assigns', async (t) => {
  t.strictSame(writes(queued(), seen({})), ['create fedbiotjob-tiny']);
  t.strictSame(writes(queued(), seen({ workload: workload(WAITS) })), []);
  t.strictSame(writes(queued(), seen({ workload: workload([RESERVED]) })), [], 'admission checks are not done');
  const podSetAssignments = [
    { name: 'server', flavors: { cpu: 'spot', memory: 'spot' }, count: 1 },
    { name: 'client', flavors: { cpu: 'spot', 'nvidia.com/gpu': 'h200' }, count: 3 },
  ];
  const kueue = {
    ...KUEUE,
    flavors: new Map([
      ['spot', { nodeSelector: { pool: 'spot' }, tolerations: [{ key: 'spot', operator: 'Exists' }] }],
      ['h200', { nodeSelector: { gpu: 'h200' } }],
    ]),
  };
  const admitted = workload(ADMITTED, {}, { podSetAssignments });
  const update = { name: 'client', labels: { a: 'b' }, annotations: { c: 'd' }, nodeSelector: { zone: 'z' } };
  const checked = {
    ...admitted,
    status: { ...admitted.status, admissionChecks: [{ name: 'check', state: 'Ready', podSetUpdates: [update] }] },
  };
  const job = queued({ client: { pods: 4, nodeSelector: { disk: 'ssd' } } });
  const observed = seen({ workload: checked, kueue });
  t.strictSame(writes(job, observed), ['PodsReady=WaitForStart', 'create tiny-server', 'create tiny-clients']);
  const { serverJob, clientsJob } = built(job, observed);
  t.match(serverJob?.spec, {
    parallelism: 1,
    template: { spec: { nodeSelector: { pool: 'spot' }, tolerations: [{ key: 'spot', operator: 'Exists' }] } },
  });
  t.match(clientsJob?.spec, {
    parallelism: 3,
    template: {
      metadata: { labels: { a: 'b', 'fedbiot.io/job': 'tiny' }, annotations: { c: 'd' } },
      spec: { nodeSelector: { disk: 'ssd', pool: 'spot', gpu: 'h200', zone: 'z' } },
    },
  });
  t.throws(() => built(queued({ client: { nodeSelector: { gpu: 'a100' } } }), observed), {
    message: 'spec.client.nodeSelector: gpu is a100, but Kueue has admitted the job with h200',
  });
});

t.test('an eviction stops both roles, and then gives the quota back', async (t) => {
  const evicted = workload(PREEMPTED, {}, {});
  t.strictSame(writes(queued(), seen({ ...RUNS, workload: evicted })), ['delete tiny-server', 'delete tiny-clients']);
  const going = (role: 'server' | 'clients') => {
    const job = batchJob(role);
    return { ...job, metadata: { ...job.metadata, deletionTimestamp: iso(150) } };
  };
  const gone = { serverJob: going('server'), clientsJob: going('clients'), workload: evicted };
  t.strictSame(writes(queued(), seen({ ...gone, pods: RUNS.pods })), [], 'pods write a checkpoint');
  for (const observed of [seen(gone), seen({ workload: evicted })]) {
    t.strictSame(writes(queued(), observed), ['release']);
    const [release] = actions(queued(), observed).filter(({ kind }) => kind === 'release');
    t.match(release, {
      workload: { name: 'fedbiotjob-tiny', uid: 'w', resourceVersion: '7' },
      status: {
        admission: null,
        conditions: [
          { type: 'Evicted', status: 'True' },
          { type: 'QuotaReserved', status: 'False', reason: 'Pending', lastTransitionTime: iso(200) },
          { type: 'Admitted', status: 'False', reason: 'NoReservation', observedGeneration: 3 },
          { type: 'Requeued', status: 'True', reason: 'Preempted' },
        ],
      },
    });
  }
  const stopped: readonly Told[] = [
    ...ADMITTED,
    ['Evicted', true, 'ClusterQueueStopped', 'The ClusterQueue is stopped'],
  ];
  t.match(
    actions(queued(), seen({ workload: workload(stopped, {}, {}) })).find(({ kind }) => kind === 'release'),
    { status: { conditions: [{}, {}, {}, { type: 'Requeued', status: 'False', reason: 'ClusterQueueStopped' }] } },
    'Kueue queues it when the queue goes on',
  );
  t.strictSame(
    writes(queued(), seen(RUNS)),
    ['delete tiny-server', 'delete tiny-clients'],
    'an administrator deleted it',
  );
});

t.test('a job that needs no quota has none', async (t) => {
  const admitted = workload(ADMITTED, {}, {});
  const suspended = queued({ suspend: true });
  t.strictSame(writes(suspended, seen({})), [], 'nothing is queued');
  t.strictSame(writes(suspended, seen({ ...RUNS, workload: admitted })), ['delete tiny-server', 'delete tiny-clients']);
  t.strictSame(writes(suspended, seen({ workload: admitted })), ['delete fedbiotjob-tiny']);
  const failed: Outcome = { phase: 'Failed', reason: 'DeadlineExceeded', message: 'too long' };
  t.strictSame(writes(queued(), seen({ ...RUNS, workload: admitted }), failed), [
    'suspend tiny-server',
    'suspend tiny-clients',
  ]);
  const over = { serverJob: batchJob('server', {}, true), clientsJob: batchJob('clients', {}, true) };
  t.strictSame(writes(queued(), seen({ ...over, workload: admitted }), failed), ['Finished=Failed']);
  const finished = workload([...ADMITTED, ['Finished', true, 'Failed']], {}, {});
  t.strictSame(writes(queued(), seen({ ...over, workload: finished }), failed), []);
  t.strictSame(writes(queued(), seen({ workload: finished })), ['delete fedbiotjob-tiny'], 'it asks again');
});

t.test('labels that change', async (t) => {
  const wanted = queued({}, { [QUEUE]: 'other', [PRIORITY]: 'high' });
  const kueue = { ...KUEUE, priority: 100 };
  const change = {
    queueName: 'other',
    priorityClassRef: { kind: 'WorkloadPriorityClass', name: 'high' },
    priority: 100,
  };
  t.match(
    actions(wanted, seen({ kueue, workload: workload(WAITS) })).find(({ kind }) => kind === 'requeue'),
    { spec: change },
  );
  t.match(built(wanted, seen({ kueue })).workload, { spec: change });
  const admitted = workload(ADMITTED, {}, {});
  t.notMatch(writes(wanted, seen({ ...RUNS, kueue, workload: admitted })), /requeue/);
  const late = look(wanted, seen({ ...RUNS, kueue, workload: admitted }));
  t.match(condition(late, 'QuotaReserved'), {
    status: 'True',
    reason: 'ChangeWaits',
    message: /queue-name, which was gpus, has changed.*priority-class, which was absent, has changed/,
  });
  const before = look(queued(), seen({ ...RUNS, workload: admitted }));
  t.match(
    eventsBetween(before, late, null).filter(({ reason }) => reason === 'ChangeWaits'),
    [{ type: 'Warning' }],
  );
  const low = { group: 'kueue.x-k8s.io', kind: 'WorkloadPriorityClass', name: 'low' };
  const ranked = workload(ADMITTED, { spec: { queueName: 'gpus', priorityClassRef: low } }, {});
  t.match(
    writes(queued({}, { [PRIORITY]: 'high' }), seen({ ...RUNS, kueue, workload: ranked })),
    [/requeue .*"name":"high".*"priority":100/, /PodsReady/],
    'Kueue lets the class change at any time',
  );
  t.strictSame(writes(jobObject(), seen({ workload: workload(WAITS) })).slice(0, 1), ['delete fedbiotjob-tiny']);
  t.match(
    writes(jobObject(), seen({ ...RUNS, workload: admitted })),
    ['PodsReady=WaitForStart'],
    'a job that runs keeps its quota until it stops',
  );
});
