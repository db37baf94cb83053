// Jobs in a queue of Kueue: what is planned and told for each state of their Workload.
import t from 'tap';
import { plannedObjects } from '../../operator/plan/build.ts';
import { plan } from '../../operator/plan/plan.ts';
import type { Action } from '../../operator/plan/action.ts';
import type { JobObject } from '../../operator/objects/job-object.ts';
import type { Observed, ObservedOwned } from '../../operator/objects/observed.ts';
import type { Outcome } from '../../operator/objects/outcome.ts';
import { eventsBetween } from '../../operator/status/events.ts';
import { judge } from '../../operator/status/judge.ts';
import { waitsForKueue } from '../../operator/status/quota-standing.ts';
import { at, batchJob, condition, iso, look, pod, RUNNING } from '../support/observed-job.ts';
import { accessOf, jobObject, NOTHING, SETTINGS } from '../support/planned-job.ts';

const QUEUE = 'kueue.x-k8s.io/queue-name';
const PRIORITY = 'kueue.x-k8s.io/priority-class';

const queued = (spec: object = {}, labels: Record<string, string> = {}, status?: JobObject['status']) =>
  jobObject(spec, { labels: { [QUEUE]: 'gpus', ...labels }, ...(status === undefined ? {} : { status }) });

const KUEUE: Observed['kueue'] = { isServed: true, flavors: new Map(), priority: null };

type Told = readonly [type: string, status: boolean, reason?: string, message?: string];

const RESERVED: Told = ['QuotaReserved', true, 'QuotaReserved', 'Quota reserved in ClusterQueue a'];
const ADMITTED: readonly Told[] = [RESERVED, ['Admitted', true, 'Admitted', 'The workload is admitted']];
const PREEMPTED: readonly Told[] = [...ADMITTED, ['Evicted', true, 'Preempted', 'Preempted to accommodate another']];
const WAITS: readonly Told[] = [['QuotaReserved', false, 'Pending', 'insufficient unused quota for cpu']];

const workload = (told: readonly Told[], parts: Pick<ObservedOwned, 'spec'> & object = {}, admission?: object) =>
  ({
    metadata: { name: 'fedbiotjob-tiny', uid: 'w', resourceVersion: '7', generation: 3 },
    spec: { queueName: 'gpus' },
    status: {
      conditions: told.map(([type, status, reason = type, message = '']) => ({
        type,
        status: status ? 'True' : 'False',
        reason,
        message,
        lastTransitionTime: iso(100),
      })),
      ...(admission === undefined ? {} : { admission: { clusterQueue: 'a', podSetAssignments: [], ...admission } }),
    },
    ...parts,
  }) satisfies ObservedOwned;

const RUNS = { serverJob: batchJob('server'), clientsJob: batchJob('clients'), pods: [pod('server', RUNNING)] };

const seen = (parts: Partial<Observed>): Observed => ({ ...NOTHING, kueue: KUEUE, ...parts });

function actions(job: JobObject, observed: Observed, outcome: Outcome | null = null): readonly Action[] {
  const podsRun = observed.pods.length > 0;
  const common = { clientsMayFinish: false, toReplace: [], podsRun, now: iso(200) };
  return plan({ job, observed, settings: SETTINGS, redis: accessOf(job, observed), outcome, ...common });
}

/** Writes about Kueue and Jobs, in short. */
const writes = (job: JobObject, observed: Observed, outcome: Outcome | null = null) =>
  actions(job, observed, outcome).flatMap((action) => {
    switch (action.kind) {
      case 'create':
        return /Job|Workload/.test(action.object.kind) ? [`create ${action.object.metadata.name}`] : [];
      case 'delete':
        return [`delete ${action.object.name}`];
      case 'suspend':
        return [`suspend ${action.job.name}`];
      case 'requeue':
        return [`requeue ${JSON.stringify(action.spec)}`];
      case 'release':
        return ['release'];
      case 'report':
        return action.conditions.map(({ type, reason }) => `${type}=${reason}`);
      default:
        return [];
    }
  });

const built = (job: JobObject, observed: Observed) =>
  plannedObjects({ job, observed, settings: SETTINGS, redis: accessOf(job, observed) });

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

t.test('the status tells Kueue’s reasons, and the deadline counts from the admission', async (t) => {
  const first = look(queued(), seen({ workload: workload(WAITS) }));
  t.match(first, { phase: 'Pending', startTime: undefined, message: /queue gpus. insufficient unused quota for cpu/ });
  t.match(condition(first, 'Running'), { reason: 'Queued' });
  t.match(condition(first, 'QuotaReserved'), { status: 'False', reason: 'Pending', message: /insufficient/ });
  const podSetAssignments = [{ name: 'client', count: 2 }];
  const admitted = workload(ADMITTED, {}, { podSetAssignments });
  const runs = seen({ ...RUNS, workload: admitted });
  const second = look(queued({ client: { pods: 4 } }, {}, first), runs, 130);
  t.match(second, { phase: 'Running', startTime: iso(100).replace('.000', '') });
  t.match(condition(second, 'QuotaReserved'), {
    status: 'True',
    message: 'Quota reserved in ClusterQueue a, for 2 of 4 client pods.',
  });
  t.match(eventsBetween(first, second, null), [{ reason: 'Running' }, { reason: 'QuotaReserved' }]);
  const limited = queued({ activeDeadlineSeconds: 60 }, {}, second);
  t.strictSame(judge(limited, runs, at(159)), { outcome: null, askAgainMs: 1000 });
  t.match(judge(limited, runs, at(160)).outcome, { phase: 'Failed', reason: 'DeadlineExceeded' });
  const evicted = seen({ ...RUNS, workload: workload(PREEMPTED, {}, {}) });
  t.equal(judge(limited, evicted, at(1000)).outcome, null, 'an eviction resets it');
  const third = look(queued({}, {}, second), evicted, 140);
  t.match(third, { phase: 'Pending', startTime: undefined, message: /Preempted to accommodate another/ });
  t.match(condition(third, 'Running'), { reason: 'Preempted' });
  t.match(eventsBetween(second, third, null), [{ type: 'Warning', reason: 'Preempted' }]);
  const inactive = workload([...WAITS, ['Evicted', true, 'Deactivated', 'The workload is deactivated']], {
    spec: { queueName: 'gpus', active: false },
  });
  t.match(look(queued(), seen({ workload: inactive })).message, /deactivated\..*when its spec.active is true/);
});

t.test('the end gives the quota back, which the status tells', async (t) => {
  const admitted = workload(ADMITTED, {}, {});
  const running = look(queued(), seen({ ...RUNS, workload: admitted }));
  const done = { ...batchJob('server', { conditions: [{ type: 'Complete', status: 'True' }] }) };
  const ended = look(queued({}, {}, running), seen({ ...RUNS, serverJob: done, workload: admitted }));
  t.match([ended.phase, condition(ended, 'QuotaReserved')?.status], ['Succeeded', 'True']);
  const finished = workload([...ADMITTED, ['Finished', true, 'Succeeded']], {}, {});
  const after = look(queued({}, {}, ended), seen({ serverJob: done, workload: finished }), 9);
  t.match(condition(after, 'QuotaReserved'), { status: 'False', reason: 'Finished' });
  t.strictSame(look(queued({}, {}, after), seen({ serverJob: done, workload: finished }), 20), after);
});

t.test('without Kueue nothing starts, and what runs goes on', async (t) => {
  const absent = { ...KUEUE, isServed: false };
  t.match(waitsForKueue(queued(), seen({ kueue: absent })), { reason: 'KueueMissing' });
  t.equal(waitsForKueue(jobObject(), seen({ kueue: absent })), null);
  t.strictSame(writes(queued(), seen({ ...RUNS, kueue: absent })), []);
  t.match(waitsForKueue(queued({}, { [PRIORITY]: 'high' }), seen({})), {
    reason: 'PriorityClassMissing',
    message: 'There is no WorkloadPriorityClass high.',
  });
});

t.test('pods do not start with what cannot have been admitted', async (t) => {
  const job = queued({ client: { pods: 4, minPods: 2 } });
  const observed = (...podSetAssignments: object[]) =>
    seen({
      workload: workload(ADMITTED, {}, { podSetAssignments }),
      kueue: { ...KUEUE, flavors: new Map([['a', {}]]) },
    });
  const client = (count: number) => observed({ name: 'server', count: 1 }, { name: 'client', count });
  for (const count of [2, 3, 4]) t.equal(waitsForKueue(job, client(count)), null);
  for (const count of [-1, 0, 1, 5, 100_000])
    t.strictSame(waitsForKueue(job, client(count)), {
      reason: 'AdmissionInvalid',
      message: `Workload fedbiotjob-tiny: ${count} pods of pod set client are admitted, but the job asks for 2 to 4.`,
    });
  t.match(waitsForKueue(queued({ client: { pods: 4 } }), client(3)), { message: /for 4 to 4/ });
  t.match(waitsForKueue(job, observed({ name: 'server', count: 2 })), { reason: 'AdmissionInvalid' });
  const gone = observed({ name: 'server', flavors: { cpu: 'a' } }, { name: 'client', flavors: { cpu: 'a', gpu: 'b' } });
  t.match(waitsForKueue(job, gone), { reason: 'FlavorMissing', message: /client.* ResourceFlavor b, which/ });
  t.equal(waitsForKueue(job, { ...gone, ...RUNS }), null, 'flavors of pods that run are not read');
  t.equal(waitsForKueue(queued({ suspend: true }), gone), null);
});

t.test('Kueue that also manages the Jobs of an admitted job is told of', async (t) => {
  const both = { serverJob: batchJob('server', {}, true), clientsJob: batchJob('clients', {}, true) };
  const observed = seen({ ...both, workload: workload(ADMITTED, {}, {}) });
  t.notMatch(writes(queued(), observed), /suspend/, 'the operator does not resume them, again and again');
  t.match(look(queued(), observed), { phase: 'Pending', message: /tiny-server.*externalFrameworks/ });
});
