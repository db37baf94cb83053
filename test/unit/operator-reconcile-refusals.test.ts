// Writes that the API server refuses, and pods that the Job controller may not create.
import t from 'tap';
import { refusalOf } from '../../operator/reconcile/refusal.ts';
import { sampleProgress } from '../support/sample-progress.ts';
import { jobObject } from '../support/planned-job.ts';
import { ReconcileWorld } from '../support/reconcile-world.ts';
import { startedJob, withSpec } from '../support/started-job.ts';

t.test('progress that the API server refuses leaves its figures out of the status, and nothing else', async (t) => {
  const world = await startedJob();
  let round = 2_000_000_000;
  world.ports.progressOf = () => ({ ...sampleProgress(1), round: 1, finishedRounds: round });
  const write = world.ports.updateStatus;
  world.ports.updateStatus = async (job, status) => {
    if ((status.round ?? 0) > 1e9)
      throw Object.assign(new Error('invalid'), {
        code: 422,
        body: { message: 'status.round: must be at most 1e9', details: { causes: [{ field: 'status.round' }] } },
      });
    await write(job, status);
  };
  t.strictSame((await world.turn()).calls, ['status Pending', 'event ProgressRefused']);
  t.match(
    world.status?.conditions?.find(({ type }) => type === 'ProgressMirrored'),
    { status: 'False', message: /status\.round: must be at most 1e9/ },
  );
  t.strictSame((await world.turn()).calls, [], 'once');
  world.setJobStatus('tiny-server', { conditions: [{ type: 'Complete', status: 'True' }] });
  t.ok((await world.turn()).calls.includes('status Succeeded'), 'the end comes from the pod');
  round = 3;
  await world.turn();
  t.match(world.status, { phase: 'Succeeded', round: 3 });
  t.match(
    world.status?.conditions?.find(({ type }) => type === 'ProgressMirrored'),
    { status: 'True', reason: 'ProgressMirrored' },
  );
});

const refusal = (code: number, status: object | string) =>
  Object.assign(new Error(`HTTP ${code}`), { code, body: status });

t.test('a refused write is reported, retried after growing pauses, and done once it is allowed', async (t) => {
  const world = new ReconcileWorld(jobObject({ startDeadlineSeconds: 600 }));
  const refuse = (call: string) => {
    if (call === 'create PersistentVolumeClaim tiny-output') throw refusal(403, { message: 'exceeded quota' });
  };
  world.fault = refuse;
  const { calls, requeueAfterMs } = await world.turn();
  t.strictSame(calls.slice(-3), ['status Pending', 'event Created', 'event Refused']);
  t.equal(calls.length, 8, 'nothing that follows is made');
  t.equal(requeueAfterMs, 5_000);
  t.match(world.status, {
    startTime: '2026-01-01T00:00:00Z',
    message: 'The API server refuses PersistentVolumeClaim tiny-output: exceeded quota',
  });
  world.seconds = 50;
  t.strictSame(await world.turn(), { calls: [], requeueAfterMs: 50_000 }, 'told once');
  world.seconds = 599;
  t.equal((await world.turn()).requeueAfterMs, 1_000, 'a deadline is not slept through');
  world.fault = () => {};
  t.strictSame((await world.turn()).calls.slice(-2), ['status Pending', 'event Created']);
  t.match(world.status?.conditions, [{ reason: 'Starting' }]);

  const late = new ReconcileWorld(jobObject({ startDeadlineSeconds: 600 }));
  late.fault = refuse;
  await late.turn();
  late.seconds = 600;
  t.strictSame((await late.turn()).calls, ['status Failed', 'event StartDeadlineExceeded']);
  t.match(late.status?.message, /exceeded quota$/);
});

t.test('a refused write does not delay the writes that stop pods', async (t) => {
  const world = await startedJob();
  world.objects.delete('Service tiny-server');
  world.fault = (call) => {
    if (call.startsWith('create Service')) throw refusal(403, { message: 'no\u001b Services' });
  };
  withSpec(world, { suspend: true });
  const { calls } = await world.turn();
  t.strictSame(
    calls.filter((call) => call.startsWith('patch')),
    ['patch Job tiny-server {"suspend":true}', 'patch Job tiny-clients {"suspend":true}'],
  );
  t.match(world.status, {
    phase: 'Suspended',
    message: 'spec.suspend is true. The API server refuses Service tiny-server: no  Services',
  });
});

t.test('the end of a job is reported although its pods cannot be stopped', async (t) => {
  const world = await startedJob();
  world.setJobStatus('tiny-server', { conditions: [{ type: 'Failed', status: 'True', reason: 'PodFailurePolicy' }] });
  world.fault = (call) => {
    if (call.startsWith('patch')) throw refusal(403, { message: 'no changes' });
  };
  t.strictSame((await world.turn()).calls, ['status Failed', 'event PodFailurePolicy', 'event Refused']);
  world.fault = () => {};
  t.strictSame((await world.turn()).calls, ['patch Job tiny-clients {"suspend":true}']);
});

t.test('the message of a running job includes what is refused', async (t) => {
  const world = await startedJob();
  const owner = { apiVersion: 'batch/v1', kind: 'Job', name: 'tiny-server', uid: 'Job tiny-server' };
  const pod = (role: string) => ({
    metadata: {
      name: `tiny-${role}-x`,
      labels: { 'fedbiot.io/role': role },
      ownerReferences: [{ ...owner, uid: `Job tiny-${role === 'server' ? 'server' : 'clients'}` }],
    },
    status: { phase: 'Running', containerStatuses: [{ name: 'worker', state: { running: {} } }] },
  });
  world.pods = [pod('server'), pod('client')];
  await world.turn();
  world.objects.delete('Secret tiny-credentials');
  world.fault = (call) => {
    if (call.startsWith('create Secret'))
      throw refusal(422, { message: 'denied by a policy', details: { causes: [{ message: 'denied' }] } });
  };
  t.strictSame((await world.turn()).calls, ['status Running', 'event Refused']);
  t.equal(
    world.status?.message,
    'The server pod runs. The API server refuses Secret tiny-credentials: denied by a policy',
  );
  world.fault = (call) => {
    if (call.startsWith('create Secret')) throw refusal(409, { message: 'conflict' });
  };
  await t.rejects(world.turn(), 'what a second look may mend is tried at once, and told to nobody');
});

t.test('the reason for missing pods is read from events, and only after a while', async (t) => {
  const world = await startedJob({ startDeadlineSeconds: 90 });
  const warning = {
    reason: 'FailedCreate',
    message: 'Error creating: pods "tiny-server-a" is forbidden: failed quota',
    at: '2026-01-01T00:00:01Z',
  };
  world.warnings.set('Job tiny-server', warning);
  world.seconds = 4;
  t.strictSame(await world.turn(), { calls: [], requeueAfterMs: 1_000 });
  world.seconds = 5;
  t.strictSame((await world.turn()).calls, ['status Pending', 'event FailedCreate']);
  t.match(world.status?.message, /^tiny-server: Error creating: .*failed quota$/);
  world.pods = [
    {
      metadata: {
        name: 'tiny-server-b',
        creationTimestamp: '2026-01-01T00:00:08Z',
        labels: { 'fedbiot.io/role': 'server' },
        ownerReferences: [{ apiVersion: '', kind: '', name: '', uid: 'Job tiny-server' }],
      },
      status: { phase: 'Failed' },
    },
  ];
  world.seconds = 10;
  await world.turn();
  t.match(world.status?.conditions, [{ reason: 'Starting' }], 'a pod was made since');
});

t.test('an error of the API server is reported as refused, as invalid, or not reported', async (t) => {
  const at = (code: number, body: object | string) => refusalOf(refusal(code, body));
  const field = { details: { causes: [{ field: 'spec.x' }] } };
  t.strictSame(at(422, { message: 'm', ...field }), { isInvalid: true, message: 'm' });
  t.strictSame(at(422, JSON.stringify({ message: 'm', ...field })), { isInvalid: true, message: 'm' });
  t.strictSame(at(422, { message: 'm' }), { isInvalid: false, message: 'm' });
  t.strictSame(at(400, { message: 'm' }), { isInvalid: true, message: 'm' });
  t.strictSame(at(500, { message: 'm' }), { isInvalid: false, message: 'm' });
  t.strictSame(at(413, 'no Status'), { isInvalid: false, message: 'HTTP 413' });
  for (const code of [200, 401, 404, 408, 409, 429, 503]) t.equal(at(code, { message: 'm' }), null, `${code}`);
  t.equal(at(500, 'a proxy'), null);
  t.equal(refusalOf(new Error('no answer')), null);
});
