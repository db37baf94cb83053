// Whether the pods of each role are ready, and with them the job; what takes pods away; and the events of both.
import t from 'tap';
import type { FedBiOTJobStatus } from '../../crds/types.ts';
import type { Observed, ObservedPod } from '../../operator/objects/observed.ts';
import { causeOf } from '../../operator/status/cause.ts';
import { eventsBetween } from '../../operator/status/events.ts';
import { jobObject, NOTHING } from '../support/planned-job.ts';
import {
  RUNNING,
  UNSCHEDULABLE,
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

const events = (before: FedBiOTJobStatus, after: FedBiOTJobStatus) =>
  eventsBetween(before, after, null).map(({ type, reason, message }) => `${type} ${reason}: ${message}`);

/** Whether a job is Ready, Reconciling or Stalled; at most one is True. */
const health = (status: FedBiOTJobStatus) =>
  ['Ready', 'Reconciling', 'Stalled'].filter((type) => condition(status, type)?.status === 'True').join();

const unschedulable = (message: string): ObservedPod['status'] => ({
  phase: 'Pending',
  conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }],
});

t.test('clients that are not ready are counted, and the reason is theirs', async (t) => {
  const two = jobObject({ client: { pods: 2 } });
  const at = (clients: readonly ObservedPod[], seconds: number, status?: FedBiOTJobStatus) =>
    look(
      { ...two, ...(status === undefined ? {} : { status }) },
      world({ pods: [pod('server', RUNNING), ...clients] }),
      seconds,
    );
  const starting = at([], 1);
  t.match(starting, {
    phase: 'Running',
    message: 'The server pod runs. 0 of 2 client pods are ready.',
    clientPods: { ready: 0, wanted: 2 },
    clientPodsText: '0/2',
  });
  t.match(condition(starting, 'ServerReady'), { status: 'True', reason: 'PodsReady' });
  t.match(condition(starting, 'ClientsReady'), { status: 'False', reason: 'Starting' });
  t.match(condition(starting, 'Ready'), { status: 'False', reason: 'Starting' });
  t.strictSame(events({}, starting), ['Normal Running: The server pod runs. 0 of 2 client pods are ready.']);

  const pull = worker('Pending', { waiting: { reason: 'ImagePullBackOff', message: 'no such image' } });
  const stuck = at([pod('client', RUNNING), pod('client', pull)], 2, starting);
  t.match(stuck, { message: 'The server pod runs. tiny-client-x: no such image', clientPodsText: '1/2' });
  t.match(condition(stuck, 'ClientsReady'), { reason: 'ImagePullBackOff', message: 'tiny-client-x: no such image' });
  t.strictSame(events(starting, stuck), ['Warning ImagePullBackOff: tiny-client-x: no such image']);
  t.strictSame(events(stuck, at([pod('client', RUNNING), pod('client', pull)], 3, stuck)), [], 'once');

  const gpus = at([pod('client', RUNNING), pod('client', UNSCHEDULABLE)], 4, stuck);
  t.match(events(stuck, gpus), [/^Warning Unschedulable: .*nvidia/], 'another cause is another event');

  const loads = { ...RUNNING, conditions: [{ type: 'Ready', status: 'False', reason: 'ReadinessGatesNotReady' }] };
  t.equal(at([pod('client', RUNNING), pod('client', loads)], 5, gpus).clientPodsText, '1/2', 'one loads its model');
  const all = at([pod('client', RUNNING), pod('client', RUNNING)], 6, gpus);
  t.match(all, { message: 'The server pod runs.', clientPodsText: '2/2' });
  t.match(condition(all, 'ClientsReady'), { status: 'True', message: '2 of 2 client pods are ready.' });
  t.equal(health(all), 'Ready');
});

t.test('a cause is known again in other numbers, order and names of pods', async (t) => {
  const cause = (message: string) => causeOf({ reason: 'Unschedulable', message });
  const nodes = (message: string) => cause(`tiny-server-x2k4f: 0/3 nodes are available: ${message}.`);
  t.equal(
    nodes('1 Insufficient cpu, 2 node(s) had untolerated taint(s)'),
    nodes('1 node(s) had untolerated taint(s), 2 Insufficient cpu'),
  );
  t.not(nodes('3 Insufficient cpu'), nodes('3 Insufficient nvidia.com/gpu'));
  t.not(nodes('pod has unbound immediate PersistentVolumeClaims'), nodes('3 Insufficient cpu'));
  t.equal(
    cause('tiny-clients: Error creating: pods "tiny-clients-x2k4f" is forbidden: exceeded quota'),
    cause('tiny-clients: Error creating: pods "tiny-clients-bcdfg" is forbidden: exceeded quota'),
  );
  const tried = 'failed to resolve reference "r/x:1": not found';
  const pause = `tiny-server-x2k4f: Back-off pulling image "r/x:1": ErrImagePull: ${tried}`;
  t.equal(
    causeOf({ reason: 'ErrImagePull', message: `tiny-server-x2k4f: ${tried}` }),
    causeOf({ reason: 'ImagePullBackOff', message: pause }),
  );
  t.not(causeOf({ reason: 'A', message: 'x' }), causeOf({ reason: 'B', message: 'x' }));
});

t.test('a claim that is bound in a moment is no trouble', async (t) => {
  const unbound = pod('server', unschedulable('pod has unbound immediate PersistentVolumeClaims'));
  const first = look(jobObject(), world({ pods: [unbound] }), 1);
  t.match(condition(first, 'Running'), { reason: 'Starting' });
  t.strictSame(events({}, first), []);
  const later = look(jobObject({}, { status: first }), world({ pods: [unbound] }), 10);
  t.match(events(first, later), [/^Warning Unschedulable: tiny-server-x: .*unbound immediate/]);
  const missing = unschedulable('persistentvolumeclaim "data" not found');
  t.match(look(jobObject(), world({ pods: [pod('server', missing)] }), 1).message, /claim "data" not found/);
});

t.test('a disruption is neither a failure nor a warning', async (t) => {
  const running = look(jobObject(), world({ pods: [pod('server', RUNNING), pod('client', RUNNING)] }), 5);
  const target = (reason: string, message: string, seconds: number) => ({
    conditions: [{ type: 'DisruptionTarget', status: 'True', reason, message, lastTransitionTime: iso(seconds) }],
  });
  const { conditions } = target('EvictionByEvictionAPI', 'Eviction API: evicting', 6);
  const drained = pod('server', { ...RUNNING, conditions: [{ type: 'Ready', status: 'True' }, ...conditions] });
  const leaving = look(jobObject({}, { status: running }), world({ pods: [drained, pod('client', RUNNING)] }), 7);
  t.match(leaving, { phase: 'Running', restarts: 0 });
  t.strictSame(events(running, leaving), [
    'Normal Disrupted: Kubernetes takes tiny-server-x away (EvictionByEvictionAPI): Eviction API: evicting. The pod is replaced; that is no failure.',
  ]);

  const evicted = pod('server', { phase: 'Failed', reason: 'Evicted', ...target('TerminationByKubelet', 'low', 6) });
  const gone = look(jobObject({}, { status: running }), world({ pods: [evicted, pod('client', RUNNING)] }), 7);
  t.match(gone, { phase: 'Pending', restarts: 0 });
  t.match(condition(gone, 'Running'), { status: 'False', reason: 'Disrupted' });
  t.match(events(running, gone), [/^Normal Disrupted: .*TerminationByKubelet/]);
  const again = [evicted, pod('server', UNSCHEDULABLE, 7), pod('client', RUNNING)];
  const waits = look(jobObject({}, { status: gone }), world({ pods: again }), 8);
  t.match(events(gone, waits), [/^Warning Unschedulable/], 'its successor has trouble of its own');

  const back = look(
    jobObject({}, { status: gone }),
    world({ pods: [evicted, pod('server', RUNNING, 7), pod('client', RUNNING)] }),
    9,
  );
  t.equal(back.message, 'The server pod runs.', 'its successor runs');
  const starts = world({
    pods: [evicted, pod('server', worker('Pending', { waiting: {} }), 10), pod('client', RUNNING)],
  });
  const next = look(jobObject({}, { status: back }), starts, 11);
  t.match(condition(next, 'ServerReady'), { reason: 'Starting' }, 'an earlier disruption explains nothing');

  const failed = [evicted, pod('server', exited(1, undefined, 'Error', iso(12)))];
  const crashed = look(jobObject({}, { status: next }), world({ pods: failed }), 13);
  t.match(crashed, { restarts: 1 });
  t.match(condition(crashed, 'ServerReady'), { reason: 'Starting' }, 'a failure is reported as a restart');
  t.match(events(next, crashed), [/^Warning ServerRestarted/]);
  t.equal(look(jobObject(), world({ pods: [pod('server', exited(130))] })).restarts, 0, 'told to stop');
});

t.test('pods that may not be made are reported for the role that lacks them', async (t) => {
  const refused = 'Error creating: pods "tiny-clients-x2k4f" is forbidden: exceeded quota: team';
  const warnings = new Map([['clients', { reason: 'FailedCreate', message: refused, at: iso(30) }]]);
  const at = (parts: Partial<Observed>) =>
    look(jobObject(), world({ pods: [pod('server', RUNNING)], warnings, ...parts }), 40);
  const status = at({});
  t.match(condition(status, 'ClientsReady'), { reason: 'FailedCreate', message: `tiny-clients: ${refused}` });
  t.match(condition(status, 'ServerReady'), { status: 'True' });
  t.match(events({}, status), [/^Normal Running/, /^Warning FailedCreate: tiny-clients: Error creating/]);
  const resumed = at({ clientsJob: batchJob('clients', { startTime: iso(35) }) });
  t.match(condition(resumed, 'ClientsReady'), { reason: 'Starting' }, 'its Job was suspended since');
});

t.test('a job is Ready, Reconciling or Stalled, as kstatus understands them', async (t) => {
  const both = world({ pods: [pod('server', RUNNING), pod('client', RUNNING)] });
  const running = look(jobObject(), both);
  t.equal(health(look(jobObject(), NOTHING)), 'Reconciling');
  t.equal(health(running), 'Ready');
  const suspend = jobObject({ suspend: true }, { status: running });
  t.equal(health(look(suspend, both)), 'Reconciling', 'its pods are leaving');
  const suspended = look(suspend, world());
  t.equal(health(suspended), 'Ready', 'as its spec asks');
  t.match(condition(suspended, 'ClientsReady'), { status: 'False', reason: 'SuspendedBySpec' });
  const resumed = look(jobObject({}, { status: running }), world());
  t.equal(health(resumed), 'Reconciling');
  const succeeded = look(
    jobObject({}, { status: running }),
    { ...both, serverJob: batchJob('server', ended('Complete', '')) },
    9,
  );
  t.equal(health(succeeded), 'Ready');
  t.notHas(succeeded, { clientPods: {} }, 'no pods are wanted any more');
  t.match(condition(succeeded, 'ServerReady'), { status: 'False', reason: 'Finished' });
  const failed = look(jobObject(), world({ serverJob: batchJob('server', ended('Failed', 'BackoffLimitExceeded')) }));
  t.equal(health(failed), 'Stalled');
});

t.test('every condition follows the generation, also after the end', async (t) => {
  const done = world({ serverJob: batchJob('server', ended('Complete', '')) });
  const status = look(jobObject(), done);
  const job = jobObject({ ttlSecondsAfterFinished: 9 }, { status });
  const patched = look({ ...job, metadata: { ...job.metadata, generation: 2 } }, done, 50);
  t.equal(patched.observedGeneration, 2);
  t.strictSame([...new Set(patched.conditions?.map(({ observedGeneration }) => observedGeneration))], [2]);
  t.strictSame(
    patched.conditions?.map(({ lastTransitionTime }) => lastTransitionTime),
    status.conditions?.map(({ lastTransitionTime }) => lastTransitionTime),
  );
});
