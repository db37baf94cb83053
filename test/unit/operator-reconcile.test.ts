// Reconciles of a job, from its creation to its end.
import t from 'tap';
import type { JobObject } from '../../operator/objects/job-object.ts';
import { jobObject, SETTINGS, UID, USERS } from '../support/planned-job.ts';
import { ReconcileWorld } from '../support/reconcile-world.ts';
import { startedJob, withSpec } from '../support/started-job.ts';

t.test('writes objects, then the status once, then events, and then nothing', async (t) => {
  const world = new ReconcileWorld(jobObject());
  const { calls } = await world.turn();
  t.equal(calls.filter((call) => call.startsWith('create')).length, 8);
  t.strictSame(calls.slice(8), ['status Pending', 'event Created']);
  t.strictSame(await world.turn(), { calls: [], requeueAfterMs: 5_000 }, 'but for a look at why there are no pods');
});

t.test('a job that is deleted, being deleted or managed by another controller is left alone', async (t) => {
  const world = new ReconcileWorld(jobObject({ managedBy: 'kueue.x-k8s.io/multikueue' }));
  t.strictSame((await world.turn()).calls, []);
  const job = jobObject();
  world.job = { ...job, metadata: { ...job.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } };
  t.strictSame((await world.turn()).calls, []);
  world.job = null;
  t.strictSame((await world.turn()).calls, []);
});

t.test('a job that cannot be read gets one event and is left alone until it can be read', async (t) => {
  const world = await startedJob();
  const job = jobObject();
  const unreadable = (status: JobObject['status'] = world.status, isOurs = true) => ({
    metadata: job.metadata,
    problem: 'spec.x: is wrong',
    isOurs,
    status: status ?? {},
  });
  const known = world.job;
  const turned = async (unread: ReturnType<typeof unreadable>) => {
    world.job = null;
    world.ports.unreadableJob = () => unread;
    world.ports.patchStatus = async (_metadata, status) => {
      world.calls.push(`patch ${status.phase ?? 'nothing'}`);
      if (known !== null) world.job = { ...known, status: { ...known.status, ...status } };
    };
    return (await world.turn()).calls;
  };
  t.strictSame(await turned(unreadable(known?.status, false)), [], "it is somebody else's");
  t.strictSame(
    await turned(unreadable({ phase: 'Succeeded' })),
    ['patch nothing', 'event Unreadable'],
    'what has ended has ended',
  );
  t.strictSame(await turned(unreadable({})), ['patch Pending', 'event Unreadable']);
  const { job: told } = world;
  t.match(
    told?.status?.conditions?.filter(({ type }) => type === 'Valid'),
    [{ status: 'False', reason: 'Unreadable', message: 'The operator ignores the job: spec.x: is wrong' }],
  );
  t.strictSame(await turned(unreadable(told?.status)), []);
  world.job = told;
  t.strictSame((await world.turn()).calls, ['status Pending']);
  t.match(
    world.status?.conditions?.find(({ type }) => type === 'Valid'),
    { status: 'True', reason: 'Readable' },
  );
});

t.test('no event without the status that it reports', async (t) => {
  const world = new ReconcileWorld(jobObject());
  world.fault = (call) => {
    if (call.startsWith('status')) throw new Error('conflict');
  };
  await t.rejects(world.turn(), { message: 'conflict' });
  t.notOk(world.calls.some((call) => call.startsWith('event')));
});

t.test('suspended and resumed', async (t) => {
  const world = await startedJob();
  withSpec(world, { suspend: true });
  t.strictSame((await world.turn()).calls, [
    'patch Job tiny-server {"suspend":true}',
    'patch Job tiny-clients {"suspend":true}',
    'status Suspended',
    'event Suspended',
  ]);
  withSpec(world, { suspend: false });
  t.strictSame((await world.turn()).calls, [
    'patch Job tiny-server {"suspend":false}',
    'patch Job tiny-clients {"suspend":false}',
    'status Pending',
    'event Resumed',
  ]);
});

t.test('after success clients have a minute, and the job its time to live', async (t) => {
  const world = await startedJob({ ttlSecondsAfterFinished: 300 });
  world.setJobStatus('tiny-server', { conditions: [{ type: 'Complete', status: 'True' }] });
  const { calls, requeueAfterMs } = await world.turn();
  t.strictSame(calls, ['status Succeeded', 'event Succeeded']);
  t.equal(requeueAfterMs, 60_000);
  world.seconds = 60;
  t.strictSame(await world.turn(), { calls: ['patch Job tiny-clients {"suspend":true}'], requeueAfterMs: 240_000 });
  world.seconds = 300;
  t.strictSame((await world.turn()).calls, [`delete FedBiOTJob tiny ${UID}`]);
});

t.test('an object deleted under a running job is created again, but not once it has ended', async (t) => {
  const world = await startedJob();
  world.objects.delete('Service tiny-server');
  t.strictSame((await world.turn()).calls, ['create Service tiny-server', 'event Created']);
  world.setJobStatus('tiny-clients', {
    conditions: [{ type: 'Failed', status: 'True', reason: 'BackoffLimitExceeded' }],
  });
  t.strictSame((await world.turn()).calls, [
    'patch Job tiny-server {"suspend":true}',
    'status Failed',
    'event BackoffLimitExceeded',
  ]);
  world.objects.clear();
  t.strictSame((await world.turn()).calls, []);
});

t.test('the next reconcile is due at the deadline', async (t) => {
  const world = new ReconcileWorld(jobObject({ activeDeadlineSeconds: 90 }));
  t.equal((await world.turn()).requeueAfterMs, 90_000, 'from the first look');
  world.seconds = 90;
  t.strictSame((await world.turn()).calls.slice(-2), ['status Failed', 'event DeadlineExceeded']);
});

t.test('a deadline that passes during a reconcile leads to another', async (t) => {
  const world = new ReconcileWorld(jobObject({ activeDeadlineSeconds: 60 }));
  await world.turn();
  world.seconds = 59;
  // A slow reconcile: the deadline passes before it ends.
  world.fault = () => void (world.seconds = 61);
  world.objects.delete('Service tiny-server');
  const { requeueAfterMs } = await world.turn();
  t.equal(world.seconds, 61);
  t.equal(world.status?.phase, 'Pending');
  t.equal(requeueAfterMs, 1000);
});

t.test('a job that cannot be planned fails, with the reason', async (t) => {
  const same = { persistentVolumeClaim: { claimName: 'one' } };
  const world = new ReconcileWorld(jobObject({ volumes: { model: same, clientData: same } }));
  t.strictSame((await world.turn()).calls, ['status Failed', 'event InvalidSpec']);
  t.match(world.status?.message, /spec\.volumes\.clientData/);
  t.strictSame((await world.turn()).calls, [], 'and is not tried again');

  const refused = new ReconcileWorld(jobObject());
  refused.fault = (call) => {
    if (call === 'create Job tiny-clients')
      throw Object.assign(new Error('HTTP 422'), {
        code: 422,
        body: JSON.stringify({ message: 'spec.template: no', details: { causes: [{ field: 'spec.template' }] } }),
      });
  };
  await refused.turn();
  t.match(refused.status, { phase: 'Failed', message: 'spec.template: no' });
  refused.fault = (call) => {
    if (call.startsWith('patch')) throw Object.assign(new Error('down'), { code: 503 });
  };
  await t.rejects(refused.turn(), { message: 'down' }, 'what may pass is tried again');
});

t.test('objects that the job does not own are never overwritten', async (t) => {
  for (const unseen of [false, true]) {
    const world = await startedJob();
    const service = world.objects.get('Service tiny-server');
    if (service === undefined) throw new Error('no Service');
    world.objects.set('Service tiny-server', { ...service, metadata: { ...service.metadata, ownerReferences: [] } });
    if (unseen) world.unseen.add('Service tiny-server');
    const { calls, requeueAfterMs } = await world.turn();
    t.strictSame(calls, [...(unseen ? ['create Service tiny-server'] : []), 'status Pending', 'event NameTaken']);
    t.equal(requeueAfterMs, 5_000);
    t.match(world.status?.message, /Service tiny-server exists already/);
  }
});

t.test('stale caches are harmless', async (t) => {
  const world = await startedJob();
  world.unseen.add('Secret tiny-credentials');
  t.strictSame((await world.turn()).calls, ['create Secret tiny-credentials']);
  t.equal(world.status?.phase, 'Pending');
});

t.test('Jobs and pods of an earlier job of the same name are ignored', async (t) => {
  const world = await startedJob();
  const old = world.objects.get('Job tiny-server');
  if (old === undefined) throw new Error('no Job');
  const owner = { apiVersion: '', kind: '', name: 'tiny', uid: 'earlier', controller: true };
  world.objects.set('Job tiny-server', {
    ...old,
    metadata: { ...old.metadata, ownerReferences: [owner] },
    status: { conditions: [{ type: 'Complete', status: 'True' }] },
  });
  await world.turn();
  t.equal(world.status?.phase, 'Pending');
  t.match(world.status?.conditions, [{ type: 'Running', reason: 'NameTaken' }]);
});

t.test('no pod is created before its users in Redis', async (t) => {
  const world = new ReconcileWorld(jobObject());
  world.fault = (call) => {
    if (call === 'grant') throw new Error('Redis does not answer');
  };
  await t.rejects(world.turn(), /Redis does not answer/, 'to be tried again');
  t.notOk(world.calls.some((call) => call.startsWith('create Job')));
  world.fault = () => {};
  await world.turn();
  t.equal(world.grants, 1);
  t.match(world.status?.conditions, [
    { type: 'Running' },
    { type: 'RedisIsolated', status: 'True', reason: 'UserPerRole' },
  ]);
  await world.turn();
  t.equal(world.grants, 2, 'and are created again at each reconcile');
});

t.test('a job waits for a Redis that creates no users, and reports that', async (t) => {
  const world = new ReconcileWorld(jobObject());
  world.redisUsers = { kind: 'refused', reason: 'NOPERM' };
  const { calls, requeueAfterMs } = await world.turn();
  t.strictSame(calls, ['status Pending', 'event RedisUsersRefused'], 'nothing is made, not even the Secret');
  t.match(world.status, { phase: 'Pending', message: /does not let it create users/ });
  t.ok(requeueAfterMs !== null && requeueAfterMs > 0);
  world.redisUsers = USERS;
  await world.turn();
  t.ok(world.objects.has('Job tiny-server'));
  world.redisUsers = { kind: 'away', reason: 'connect ECONNREFUSED' };
  world.objects.delete('Service tiny-server');
  t.match(
    (await world.turn()).calls,
    ['create Service tiny-server'],
    'a job that has started continues while Redis is down',
  );
  t.match(
    world.status?.conditions?.find(({ type }) => type === 'RedisIsolated'),
    { status: 'True' },
  );
});

t.test(
  'a job that started under another operator or configuration continues where this operator would not create it',
  async (t) => {
    const world = await startedJob();
    world.settings = { ...SETTINGS, redis: null };
    await world.turn();
    t.match(world.status, {
      phase: 'Pending',
      message:
        'The operator would not create this job now: spec.redis: is required: the operator was installed without a Redis',
    });
    withSpec(world, { suspend: true });
    t.equal((await world.turn()).calls.filter((call) => call.startsWith('patch')).length, 2, 'and stops when it is to');
    const annotations = { 'example.org/since': 'before there was a list' };
    const laid = await startedJob();
    withSpec(laid, { server: { podTemplate: { metadata: { annotations } } } });
    t.strictSame((await laid.turn()).calls, [], 'the pods of its Jobs are as they were made');
    const fresh = new ReconcileWorld(jobObject({ server: { podTemplate: { metadata: { annotations } } } }));
    await fresh.turn();
    t.match(fresh.status, { phase: 'Failed', message: /example\.org\/since may not be set/ });
  },
);
