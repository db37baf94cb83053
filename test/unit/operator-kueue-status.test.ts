// Jobs in a queue of Kueue: what is told for each state of their Workload.
import t from 'tap';
import { eventsBetween } from '../../operator/status/events.ts';
import { judge } from '../../operator/status/judge.ts';
import { waitsForKueue } from '../../operator/status/quota-standing.ts';
import { at, batchJob, condition, iso, look } from '../support/observed-job.ts';
import { jobObject } from '../support/planned-job.ts';
import {
  PRIORITY,
  queued,
  KUEUE,
  ADMITTED,
  PREEMPTED,
  WAITS,
  workload,
  RUNS,
  seen,
  writes,
} from '../support/queued-job.ts';

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

t.test('the status names a Kueue that also manages the Jobs of an admitted job', async (t) => {
  const both = { serverJob: batchJob('server', {}, true), clientsJob: batchJob('clients', {}, true) };
  const observed = seen({ ...both, workload: workload(ADMITTED, {}, {}) });
  t.notMatch(writes(queued(), observed), /suspend/, 'the operator does not resume them, again and again');
  t.match(look(queued(), observed), { phase: 'Pending', message: /tiny-server.*externalFrameworks/ });
});
