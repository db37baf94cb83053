// The phase of a job, its conditions, deadlines and events.
import t from 'tap';
import type { FedBiOTJobStatus } from '../../crds/types.ts';
import { clientsGrace, timeToLive } from '../../operator/status/after-end.ts';
import { eventsBetween } from '../../operator/status/events.ts';
import { judge } from '../../operator/status/judge.ts';
import { jobObject, NOTHING } from '../support/planned-job.ts';
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

t.test('suspended and resumed: the start time is set again', async (t) => {
  const running = look(jobObject(), world({ pods: [pod('server', RUNNING)] }));
  const suspended = look(jobObject({ suspend: true }, { status: running }), world(), 10);
  t.match(suspended, { phase: 'Suspended', startTime: undefined });
  t.equal(condition(suspended, 'Suspended')?.status, 'True');
  const resumed = look(jobObject({}, { status: suspended }), world(), 20);
  t.match(resumed, { phase: 'Pending', startTime: '2026-01-01T00:00:20Z' });
  t.match(condition(resumed, 'Suspended'), { status: 'False', reason: 'Resumed' });
});

t.test('the server’s success is the job’s, whatever clients do afterwards', async (t) => {
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

t.test('deadlines end a job, and say when they will', async (t) => {
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

t.test('restarts are counted, and never lost', async (t) => {
  const status = look(jobObject(), world({ serverJob: batchJob('server', { failed: 2 }) }));
  t.match(status, { restarts: 2, phase: 'Pending' });
  t.equal(look(jobObject({}, { status }), world()).restarts, 2);
});

t.test('each change is one event', async (t) => {
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
