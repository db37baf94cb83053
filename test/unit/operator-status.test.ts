import t from 'tap';
import { Status } from '../../crds/schema/status.ts';
import Value from 'typebox/value';
import type { FedBiOTJobStatus } from '../../crds/types.ts';
import type { JobObject } from '../../operator/objects/job-object.ts';
import type { Observed, ObservedJob, ObservedPod } from '../../operator/objects/observed.ts';
import { clientsGrace } from '../../operator/status/clients-grace.ts';
import { eventsBetween } from '../../operator/status/events.ts';
import { toReplace } from '../../operator/status/lingering.ts';
import { judge } from '../../operator/status/judge.ts';
import { deriveStatus } from '../../operator/status/status.ts';
import { readTerminationMessage } from '../../operator/status/termination-message.ts';
import { timeToLive } from '../../operator/status/ttl-after-finished.ts';
import { unexplained } from '../../operator/status/unexplained.ts';
import type { JobProgress } from '../../crds/facts/progress.ts';
import { jobObject, NOTHING } from '../support/planned-job.ts';
import { initialProgress, toldProgress as foldedProgress } from '../../worker/report/fold-progress.ts';
import { toldProgress } from '../support/told-progress.ts';
import type { RunProgress } from '../../worker/report/fold-progress.ts';

const START = Date.parse('2026-01-01T00:00:00Z');
const at = (seconds: number) => START + seconds * 1000;
const iso = (seconds: number) => new Date(at(seconds)).toISOString();

const batchJob = (role: 'server' | 'clients', status: ObservedJob['status'] = {}, suspend = false): ObservedJob => ({
  metadata: { name: `tiny-${role}`, uid: role },
  spec: { suspend },
  status: { startTime: iso(0), ...status },
});

const ended = (type: string, reason: string, message = 'in the controller’s words') => ({
  conditions: [{ type, status: 'True', reason, message }],
});

const pod = (role: 'server' | 'client', status: ObservedPod['status'], created = 0): ObservedPod => ({
  metadata: { name: `tiny-${role}-x`, labels: { 'fedbiot.io/role': role }, creationTimestamp: iso(created) },
  ...(status === undefined ? {} : { status }),
});

type State = NonNullable<NonNullable<NonNullable<ObservedPod['status']>['containerStatuses']>[number]['state']>;
const worker = (phase: string, state: State): ObservedPod['status'] => ({
  phase,
  containerStatuses: [{ name: 'worker', state }],
});
const exited = (exitCode: number, message?: string, reason = 'Error', finishedAt = iso(1)) =>
  worker('Failed', { terminated: { exitCode, reason, finishedAt, ...(message === undefined ? {} : { message }) } });
const RUNNING = worker('Running', { running: { startedAt: iso(0) } });
const UNSCHEDULABLE: ObservedPod['status'] = {
  phase: 'Pending',
  conditions: [
    {
      type: 'PodScheduled',
      status: 'False',
      reason: 'Unschedulable',
      message: '0/3 nodes are available: 3 Insufficient nvidia.com/gpu.',
    },
  ],
};

const world = (parts: Partial<Observed> = {}): Observed => ({
  ...NOTHING,
  serverJob: batchJob('server'),
  clientsJob: batchJob('clients'),
  ...parts,
});

function look(job: JobObject, observed: Observed, seconds = 1, progress: JobProgress | null = null): FedBiOTJobStatus {
  const now = at(seconds);
  const status = deriveStatus({
    job,
    observed,
    outcome: judge(job, observed, now).outcome,
    blocked: null,
    isolated: null,
    progress,
    now,
  });
  if (!Value.Check(Status, status)) throw new Error(`not a status: ${JSON.stringify(Value.Errors(Status, status))}`);
  return status;
}

const condition = ({ conditions = [] }: FedBiOTJobStatus, type: string) => conditions.find((one) => one.type === type);

t.test('a server pod that has finished is not one that is being replaced', async (t) => {
  const finished = pod('server', worker('Succeeded', { terminated: { exitCode: 0, finishedAt: iso(9) } }));
  const job = world({ serverJob: batchJob('server', { failed: 1 }), pods: [pod('server', exited(137)), finished] });
  t.match(look(jobObject(), job), { phase: 'Running', message: 'The server pod has finished.' });
});

t.test('a job that starts is Pending, then Running', async (t) => {
  const first = look(jobObject(), NOTHING);
  t.match(first, { phase: 'Pending', observedGeneration: 1, startTime: '2026-01-01T00:00:01Z', restarts: 0 });
  const second = look(jobObject({}, { status: first }), world({ pods: [pod('server', RUNNING)] }), 5);
  t.match(second, { phase: 'Running', startTime: first.startTime });
  t.match(condition(second, 'Running'), {
    status: 'True',
    reason: 'ServerRunning',
    lastTransitionTime: '2026-01-01T00:00:05Z',
  });
  const third = look(jobObject({}, { status: second }), world({ pods: [pod('server', RUNNING)] }), 9);
  t.strictSame(third, second, 'nothing new: nothing to write');
});

t.test('why pods wait is told in the words of who makes them wait', async (t) => {
  const says = (status: ObservedPod['status']) => {
    const told = look(jobObject(), world({ pods: [pod('server', status)] }));
    return [told.phase, condition(told, 'Running')?.reason, told.message];
  };
  t.strictSame(says(UNSCHEDULABLE), [
    'Pending',
    'Unschedulable',
    'tiny-server-x: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu.',
  ]);
  for (const reason of ['ImagePullBackOff', 'ErrImagePull', 'CreateContainerConfigError']) {
    t.strictSame(says(worker('Pending', { waiting: { reason, message: 'secret "s" not found' } })), [
      'Pending',
      reason,
      'tiny-server-x: secret "s" not found',
    ]);
  }
  t.equal(says(worker('Pending', { waiting: { reason: 'ContainerCreating' } }))[1], 'Starting');
  const clients = look(jobObject(), world({ pods: [pod('server', RUNNING), pod('client', UNSCHEDULABLE)] }));
  t.equal(clients.phase, 'Running');
  t.match(clients.message, /Insufficient nvidia/);
});

t.test('suspended and resumed: the start is set anew', async (t) => {
  const running = look(jobObject(), world({ pods: [pod('server', RUNNING)] }));
  const suspended = look(jobObject({ suspend: true }, { status: running }), world(), 10);
  t.match(suspended, { phase: 'Suspended', startTime: undefined });
  t.equal(condition(suspended, 'Suspended')?.status, 'True');
  const resumed = look(jobObject({}, { status: suspended }), world(), 20);
  t.match(resumed, { phase: 'Pending', startTime: '2026-01-01T00:00:20Z' });
  t.match(condition(resumed, 'Suspended'), { status: 'False', reason: 'Resumed' });
  const queued = look(
    jobObject({}, { labels: { 'kueue.x-k8s.io/queue-name': 'gpus' } }),
    world({ serverJob: batchJob('server', {}, true) }),
  );
  t.match(queued, { phase: 'Pending', message: /queue gpus/ });
});

t.test('the server’s success is the job’s, whatever clients do after', async (t) => {
  const done = world({
    serverJob: batchJob('server', ended('Complete', 'Completed')),
    clientsJob: batchJob('clients', ended('Failed', 'BackoffLimitExceeded')),
  });
  const status = look(jobObject(), done, 30);
  t.match(status, { phase: 'Succeeded', completionTime: '2026-01-01T00:00:30Z' });
  t.equal(condition(status, 'Succeeded')?.status, 'True');
  t.match(condition(status, 'Running'), { status: 'False' });
  const job = jobObject({ ttlSecondsAfterFinished: 100 }, { status });
  t.strictSame(look(job, NOTHING, 99), status, 'an end is for good');
  t.equal(timeToLive(job, at(40)), 90_000);
  t.equal(timeToLive(job, at(500)), 0);
  t.equal(timeToLive(jobObject({ ttlSecondsAfterFinished: 0 }, { status: { phase: 'Running' } }), at(1)), null);
  t.equal(clientsGrace(job, judge(job, done, at(40)).outcome, at(40)), 50_000);
  t.equal(clientsGrace(job, judge(job, done, at(500)).outcome, at(500)), 0);
});

t.test('a failure has the reason of the pod that ended last', async (t) => {
  const failed = (reason: string, ...pods: ObservedPod[]) => {
    const status = look(jobObject(), world({ serverJob: batchJob('server', ended('Failed', reason)), pods }));
    t.equal(status.phase, 'Failed');
    const { reason: told, message } = condition(status, 'Failed') ?? {};
    return [told, message] as const;
  };
  const say = (reason: string, message: string) => JSON.stringify({ reason, message });
  const [reason, message] = failed(
    'PodFailurePolicy',
    pod('server', exited(2, say('InvalidInput', 'adapter.layers: the model has 4 layers'))),
  );
  t.equal(reason, 'InvalidInput');
  t.match(message, /the model has 4 layers/);
  const [last] = failed(
    'BackoffLimitExceeded',
    pod('server', exited(1, say('NotFinite', 'x'), 'Error', iso(1))),
    pod('server', exited(1, say('QuorumNotReached', 'x'), 'Error', iso(9))),
  );
  t.equal(last, 'QuorumNotReached');
  t.equal(failed('BackoffLimitExceeded', pod('server', exited(137, undefined, 'OOMKilled')))[0], 'OOMKilled');
  t.match(failed('BackoffLimitExceeded', pod('server', exited(3)))[1], /exit code 3.*backoffLimit/);
  t.strictSame(failed('DeadlineExceeded')[0], 'DeadlineExceeded');
  const clients = look(
    jobObject(),
    world({
      clientsJob: batchJob('clients', ended('Failed', 'PodFailurePolicy')),
      pods: [pod('client', exited(2, say('RedisUnusable', 'wrong password')))],
    }),
  );
  t.match(condition(clients, 'Failed'), { reason: 'RedisUnusable', message: /client pod.*wrong password/ });
});

t.test('what a pod says of its end is checked', async (t) => {
  const read = readTerminationMessage;
  t.strictSame(read('{"reason":"NotFinite","message":"a\\u001b[31mb"}'), { reason: 'NotFinite', message: 'ab' });
  for (const text of [
    undefined,
    '',
    'x',
    '[]',
    '{"reason":"Mine","message":""}',
    '{"reason":"NotFinite"}',
    '{"reason":"NotFinite","message":3}',
  ])
    t.equal(read(text), null, text ?? 'nothing');
  t.equal(read(JSON.stringify({ reason: 'NotFinite', message: 'x'.repeat(5000) })), null, 'too long');
});

t.test('deadlines pass, and say when they will', async (t) => {
  const active = jobObject({ activeDeadlineSeconds: 60 }, { status: { phase: 'Running', startTime: iso(0) } });
  t.strictSame(judge(active, world(), at(20)), { outcome: null, askAgainMs: 40_000 });
  t.match(judge(active, world(), at(60)).outcome, { phase: 'Failed', reason: 'DeadlineExceeded' });
  t.strictSame(
    judge(jobObject({ activeDeadlineSeconds: 60, suspend: true }, { status: { startTime: iso(0) } }), world(), at(99)),
    { outcome: null, askAgainMs: null },
  );

  const start = jobObject({ startDeadlineSeconds: 60 });
  const waits = world({ pods: [pod('server', RUNNING), pod('client', UNSCHEDULABLE, 10)] });
  t.strictSame(judge(start, waits, at(20)), { outcome: null, askAgainMs: 50_000 });
  t.match(judge(start, waits, at(70)).outcome, {
    phase: 'Failed',
    reason: 'StartDeadlineExceeded',
    message: /No client pod.*Insufficient/,
  });
  t.strictSame(
    judge(
      start,
      world({ pods: [pod('server', RUNNING), pod('client', RUNNING), pod('client', UNSCHEDULABLE)] }),
      at(99),
    ),
    { outcome: null, askAgainMs: null },
  );
  t.match(judge(start, world(), at(99)).outcome, { reason: 'StartDeadlineExceeded' }, 'pods that cannot even be made');
  t.equal(
    judge(start, world({ serverJob: batchJob('server', {}, true), clientsJob: null }), at(99)).outcome,
    null,
    'a queue has time',
  );
});

t.test('progress is mirrored', async (t) => {
  const score = (accuracy: number | null) => ({ accuracy, loss: 1.23456 });
  const progress: JobProgress = {
    ...toldProgress(4),
    at: iso(7),
    finishedRounds: 3,
    rounds: 50,
    clients: { selected: 8, reported: 7, dropped: 1, refused: 0 },
    refusals: { late: 2 },
    alignmentLoss: 0.5,
    publicAlignmentGap: 0.25,
    evaluation: { round: 3, base: score(null), adapEmu: score(0.25), adapFu: score(0.5) },
  };
  const status = look(jobObject(), world({ pods: [pod('server', RUNNING)] }), 8, progress);
  t.match(status, {
    activity: 'Training',
    round: 3,
    roundText: '3/50',
    clientsText: '7/8',
    refusals: { late: 2 },
    alignmentLoss: 0.5,
    publicAlignmentGap: 0.25,
    evaluation: { round: 3, base: { headline: '1.2346' }, adapFu: { accuracy: 0.5, headline: '50.0 %' } },
  });
  const after = look(jobObject({}, { status: { phase: 'Succeeded', round: 3 } }), NOTHING, 9, {
    ...progress,
    finishedRounds: 50,
    adapterSha256: 'a'.repeat(64),
  });
  t.match(after, { phase: 'Succeeded', round: 50, adapterSha256: 'a'.repeat(64) }, 'what is told last still comes in');
});

t.test('what a job cost is mirrored, however much clients claim', async (t) => {
  const role = (tokens: number) => ({ cpuSeconds: 1.5, gpuSeconds: 0, tokens, peakMemoryBytes: 1e9 + 0.25 });
  const saving = { here: 1e21, fullModel: 4e21, saved: 3e21 };
  const run: RunProgress = {
    ...initialProgress({ rounds: 3, clientsPerRound: 4, localSteps: 1 }),
    cost: {
      server: role(5),
      clients: role(1e300),
      bytes: { bundle: 3, down: 2, up: 1 },
      savings: { bytes: { here: 9, fullModel: 8, saved: -1 }, flops: saving },
    },
  };
  const { cost } = look(jobObject(), world({ pods: [pod('server', RUNNING)] }), 8, {
    ...foldedProgress(run),
    at: iso(7),
  });
  t.strictSame(cost?.server, { cpuSeconds: 1.5, gpuSeconds: 0, tokens: 5, peakMemoryBytes: 1e9 });
  t.equal(cost?.clients?.tokens, Number.MAX_SAFE_INTEGER, 'what the API server can take');
  t.strictSame(cost?.bytes, { bundle: 3, down: 2, up: 1 });
  t.strictSame(cost?.savings, {
    bytes: { here: 9, fullModel: 8, saved: -1 },
    flops: { here: 1e21, fullModel: 4e21, saved: 3e21 },
  });
});

t.test('restarts are counted, and never forgotten', async (t) => {
  const status = look(jobObject(), world({ serverJob: batchJob('server', { failed: 2 }) }));
  t.match(status, { restarts: 2, phase: 'Pending' });
  t.equal(look(jobObject({}, { status }), world()).restarts, 2);
});

t.test('events tell what has turned, once', async (t) => {
  const pending = look(jobObject(), world({ pods: [pod('server', UNSCHEDULABLE)] }));
  const reasons = (before: FedBiOTJobStatus, after: FedBiOTJobStatus) =>
    eventsBetween(before, after, null).map(({ type, reason }) => `${type} ${reason}`);
  t.strictSame(reasons({}, pending), ['Warning Unschedulable']);
  t.strictSame(reasons(pending, pending), []);
  const running = look(jobObject({}, { status: pending }), world({ pods: [pod('server', RUNNING)] }));
  t.strictSame(reasons(pending, running), ['Normal Running']);
  const suspended = look(jobObject({ suspend: true }, { status: running }), world());
  t.strictSame(reasons(running, suspended), ['Normal Suspended']);
  t.strictSame(
    reasons(
      running,
      look(jobObject({}, { status: running }), world({ serverJob: batchJob('server', ended('Complete', '')) })),
    ),
    ['Normal Succeeded'],
  );
  t.strictSame(
    reasons(
      running,
      look(
        jobObject({}, { status: running }),
        world({ serverJob: batchJob('server', ended('Failed', 'DeadlineExceeded')) }),
      ),
    ),
    ['Warning DeadlineExceeded'],
  );
  t.strictSame(reasons(running, { ...running, restarts: 1 }), ['Warning ServerRestarted']);
});

t.test('a pod that nobody hears of is lost, and one that should be gone', async (t) => {
  const ready = (status: string, reason?: string) => [
    { type: 'ContainersReady', status: 'True' },
    { type: 'Ready', status, ...(reason === undefined ? {} : { reason }) },
  ];
  const says = (
    parts: { spec?: object; metadata?: object },
    status: ObservedPod['status'] = RUNNING,
    seconds = 100,
  ) => {
    const base = pod('server', status);
    const told = look(
      jobObject(),
      world({ pods: [{ ...base, ...parts, metadata: { ...base.metadata, ...parts.metadata } }] }),
      seconds,
    );
    return [told.phase, condition(told, 'Running')?.reason, told.message];
  };
  const spec = { nodeName: 'n1' };
  t.strictSame(says({ spec }, { ...RUNNING, conditions: ready('True') }).slice(0, 2), ['Running', 'ServerRunning']);
  t.strictSame(says({ spec }, { ...RUNNING, conditions: ready('False') }).slice(0, 2), ['Pending', 'NodeLost']);
  t.match(
    says({ spec }, { ...RUNNING, conditions: ready('False') })[2],
    /^tiny-server-x: its node n1 does not respond/,
  );
  t.equal(says({ spec }, { ...RUNNING, conditions: ready('False', 'ReadinessGatesNotReady') })[1], 'ServerRunning');
  t.equal(says({}, { ...RUNNING, phase: 'Unknown' })[1], 'NodeLost');
  const metadata = { deletionTimestamp: iso(60) };
  t.equal(says({ metadata }, RUNNING, 89)[1], 'ServerRunning', 'it has its grace, and a little more');
  t.match(
    says({ spec, metadata }, RUNNING, 90)[2],
    /^tiny-server-x should have been gone by .* and is still there: its node n1 may be lost/,
  );
  const lostClient = { ...pod('client', { ...RUNNING, conditions: ready('False') }), spec };
  t.match(look(jobObject(), world({ pods: [pod('server', RUNNING), lostClient] })), {
    phase: 'Running',
    message: /^The server pod runs\. tiny-client-x: its node n1/,
  });
  const leaving = { ...pod('server', RUNNING), metadata: { ...pod('server', RUNNING).metadata, ...metadata } };
  t.equal(
    unexplained(jobObject(), world({ pods: [leaving, pod('client', RUNNING)] }), at(50)).lookAgainMs,
    40_000,
    'nobody tells when that is',
  );
});

t.test('a worker that has ended beside a sidecar', async (t) => {
  const over = (exitCode: number, message?: string): ObservedPod['status'] => ({
    phase: 'Running',
    containerStatuses: [
      {
        name: 'worker',
        state: { terminated: { exitCode, finishedAt: iso(10), ...(message === undefined ? {} : { message }) } },
      },
      { name: 'proxy', state: { running: {} } },
    ],
  });
  const ofServer = (exitCode: number, message?: string) =>
    world({ pods: [pod('server', over(exitCode, message)), pod('client', RUNNING)] });
  t.match(look(jobObject(), ofServer(0), 12), {
    phase: 'Running',
    message: 'The worker of tiny-server-x has ended with exit code 0; other containers of its pod still run: proxy.',
  });
  t.strictSame(judge(jobObject(), ofServer(0), at(12)), { outcome: null, askAgainMs: 13_000 }, 'it may end by itself');
  t.match(judge(jobObject(), ofServer(0), at(25)).outcome, { phase: 'Succeeded' });
  t.match(judge(jobObject(), ofServer(2, '{"reason":"InvalidInput","message":"no records"}'), at(10)).outcome, {
    reason: 'InvalidInput',
    message: 'The server pod failed: no records',
  });
  t.match(judge(jobObject(), ofServer(2), at(10)).outcome, { reason: 'PodFailed' });
  const again = (pods: ObservedPod[], seconds: number) => toReplace(world({ pods }), at(seconds)).length;
  for (const code of [1, 130, 137]) {
    t.equal(judge(jobObject(), ofServer(code), at(99)).outcome, null);
    t.strictSame([again([pod('server', over(code))], 24), again([pod('server', over(code))], 25)], [0, 1]);
  }
  for (const code of [0, 2]) t.equal(again([pod('server', over(code))], 99), 0);
  const clients = world({ pods: [pod('server', RUNNING), pod('client', over(0))] });
  t.equal(judge(jobObject(), clients, at(99)).outcome, null, 'a client that has left ends nothing');
  t.equal(
    judge(
      jobObject(),
      world({ pods: [pod('server', worker('Running', { terminated: { exitCode: 0, finishedAt: iso(10) } }))] }),
      at(99),
    ).outcome,
    null,
    'the kubelet is about to say more',
  );
  const clock = pod('server', {
    ...over(0),
    containerStatuses: [
      { name: 'worker', state: { terminated: { exitCode: 0, finishedAt: iso(9999) } } },
      { name: 'proxy', state: { running: {} } },
    ],
  });
  t.equal(judge(jobObject(), world({ pods: [clock] }), at(20)).askAgainMs, 15_000);
});

t.test('what runs before the worker is told, and why it ended', async (t) => {
  const init = (state: State, conditions = [{ type: 'Initialized', status: 'False' }]): ObservedPod['status'] => ({
    phase: 'Pending',
    conditions,
    initContainerStatuses: [{ name: 'fetch', state }],
  });
  const status = look(jobObject(), world({ pods: [pod('server', init({ running: {} }))] }));
  t.match(condition(status, 'Running'), {
    reason: 'Initializing',
    message: 'tiny-server-x: its init container fetch runs.',
  });
  t.strictSame(eventsBetween({}, status, null), [], 'which is no news');
  const sidecar = look(
    jobObject(),
    world({ pods: [pod('server', init({ running: {} }, [{ type: 'Initialized', status: 'True' }]))] }),
  );
  t.match(condition(sidecar, 'Running'), { reason: 'Starting' });
  const failed = world({
    serverJob: batchJob('server', ended('Failed', 'BackoffLimitExceeded')),
    pods: [pod('server', { ...init({ terminated: { exitCode: 7 } }), phase: 'Failed' })],
  });
  t.match(look(jobObject(), failed).message, /init container fetch of tiny-server-x ended with exit code 7/);
});

t.test('what Kubernetes warned of tells why a pod does not start', async (t) => {
  const stuck = {
    ...pod('server', worker('Pending', { waiting: { reason: 'ContainerCreating' } })),
    metadata: { ...pod('server', RUNNING).metadata, uid: 'p' },
  };
  const asked = unexplained(jobObject(), world({ pods: [stuck, pod('client', RUNNING)] }), at(60));
  t.match(asked.objects, [{ kind: 'Pod', name: 'tiny-server-x', uid: 'p' }]);
  const warnings = new Map([['p', { reason: 'FailedMount', message: 'secret "s" not found', at: iso(30) }]]);
  const status = look(jobObject(), world({ pods: [stuck, pod('client', RUNNING)], warnings }));
  t.match(condition(status, 'Running'), { reason: 'FailedMount', message: 'tiny-server-x: secret "s" not found' });
  t.strictSame(
    unexplained(jobObject(), world({ pods: [pod('server', UNSCHEDULABLE), pod('client', RUNNING)] }), at(60)).objects,
    [],
    'who says why is not asked',
  );
  const three = jobObject({ client: { pods: 3 } });
  t.match(
    unexplained(
      three,
      world({
        clientsJob: {
          ...batchJob('clients'),
          metadata: { name: 'tiny-clients', uid: 'clients', creationTimestamp: iso(0) },
        },
        pods: [pod('server', RUNNING), pod('client', RUNNING)],
      }),
      at(60),
    ).objects,
    [{ kind: 'Job', name: 'tiny-clients' }],
    'some are missing',
  );
  t.strictSame(unexplained(jobObject({}, { status: { phase: 'Failed' } }), world(), at(60)), {
    objects: [],
    lookAgainMs: null,
  });
});
