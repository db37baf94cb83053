// The status of jobs with pods that wait, fail or are lost.
import t from 'tap';
import type { ObservedPod } from '../../operator/objects/observed.ts';
import { eventsBetween } from '../../operator/status/events.ts';
import { toReplace } from '../../operator/status/lingering.ts';
import { judge } from '../../operator/status/judge.ts';
import { readTerminationMessage } from '../../operator/status/termination-message.ts';
import { unexplained } from '../../operator/status/unexplained.ts';
import { jobObject } from '../support/planned-job.ts';
import {
  RUNNING,
  UNSCHEDULABLE,
  at,
  batchJob,
  condition,
  ended,
  exited,
  iso,
  look,
  pod,
  worker,
  world,
} from '../support/observed-job.ts';

type State = NonNullable<NonNullable<NonNullable<ObservedPod['status']>['containerStatuses']>[number]['state']>;

t.test('the status says why pods wait, with the message of the component that delays them', async (t) => {
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
  t.match(failed('BackoffLimitExceeded', pod('server', exited(137, undefined, 'OOMKilled'))), [
    'OutOfMemory',
    /tiny-server-x was killed as memory ran out; its node has too little/,
  ]);
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

t.test('a pod’s termination message is checked', async (t) => {
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

t.test('a pod whose node is unreachable is lost, and so is one that should be gone', async (t) => {
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
    'no time is known for it',
  );
});

t.test('a worker that has ended while a sidecar still runs', async (t) => {
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

t.test('the status names the init container that runs, and why one ended', async (t) => {
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

t.test('Kubernetes’ warnings say why a pod does not start', async (t) => {
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
