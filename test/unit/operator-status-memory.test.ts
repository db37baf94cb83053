// Memory that ran out in a pod, and limits that are below the plan.
import t from 'tap';
import type { JobProgress } from '../../crds/facts/progress.ts';
import type { JobObject } from '../../operator/objects/job-object.ts';
import type { ObservedPod } from '../../operator/objects/observed.ts';
import { eventsBetween } from '../../operator/status/events.ts';
import { judge } from '../../operator/status/judge.ts';
import { jobObject } from '../support/planned-job.ts';
import { at, condition, exited, iso, look, pod, RUNNING, world } from '../support/observed-job.ts';
import { sampleProgress } from '../support/sample-progress.ts';

t.test('a pod that ran out of memory within its limit ends the job, with the plan’s figures', async (t) => {
  const limits = { limits: { memory: '512Mi' } };
  const memory = { server: 2 ** 31, client: 2 ** 29 };
  const job = (role: 'server' | 'client', status: JobObject['status'] = { memory }) =>
    jobObject({ [role]: { resources: limits } }, { status });
  const killed = exited(137, undefined, 'OOMKilled');
  const judged = (of: JobObject, ...pods: ObservedPod[]) => judge(of, world({ pods }), at(9)).outcome;
  t.strictSame(judged(job('server'), pod('server', killed)), {
    phase: 'Failed',
    reason: 'OutOfMemory',
    message:
      'The server pod failed: tiny-server-x was killed as it reached its memory limit, 512Mi. The plan is at least 2.00 GiB for a server pod. Raise spec.server.resources.limits.memory, or use shorter sequences or smaller batches.',
  });
  t.match(judged(job('client', {}), pod('server', RUNNING), pod('client', killed)), {
    reason: 'OutOfMemory',
    message:
      /^The client pod failed: tiny-client-x was killed as it reached its memory limit, 512Mi\. Raise spec\.client/,
  });
  const own = JSON.stringify({ reason: 'OutOfMemory', message: 'the compute process is out of memory' });
  for (const reason of ['Error', 'OOMKilled']) {
    t.match(judged(job('server'), pod('server', exited(71, own, reason))), {
      reason: 'OutOfMemory',
      message:
        'The server pod failed: the compute process is out of memory. Raise spec.server.resources.limits.memory above 512Mi.',
    });
  }
  t.equal(judged(job('client'), pod('server', killed)), null, 'without a limit it is tried again, on another node');
  t.equal(judged(job('server'), pod('server', exited(137))), null, 'killed for another reason');
  t.equal(judged(job('server'), pod('server', exited(130, undefined, 'OOMKilled'))), null, 'told to stop as well');
  const evicted = { ...killed, conditions: [{ type: 'DisruptionTarget', status: 'True' }] };
  t.equal(judged(job('server'), pod('server', evicted)), null, 'an eviction is a disruption');
  const successor = (status: ObservedPod['status']) =>
    judged(job('server'), pod('server', killed), pod('server', status, 9));
  t.equal(successor(RUNNING), null, 'replaced by a pod that runs, as under an earlier version');
  t.match(successor({ phase: 'Pending' }), { reason: 'OutOfMemory' }, 'its successor has not started');
  t.match(successor(exited(137, undefined, 'OOMKilled', iso(10))), { reason: 'OutOfMemory' }, 'it failed again');
  const beside = pod('client', RUNNING, 0.5);
  t.match(
    judged(job('client'), pod('client', killed), beside),
    { reason: 'OutOfMemory' },
    'another client ran beside it',
  );
  const lingering = { ...killed, phase: 'Running' };
  t.match(judged(job('server'), pod('server', lingering)), { reason: 'OutOfMemory' }, 'while a sidecar still runs');
});

t.test('limits below the plan are told in the status, as soon as the server pod has planned', async (t) => {
  const limited = (server: string, client?: string) =>
    jobObject({
      server: { resources: { limits: { memory: server } } },
      ...(client === undefined
        ? {}
        : {
            client: {
              podTemplate: { spec: { containers: [{ name: 'worker', resources: { limits: { memory: client } } }] } },
            },
          }),
    });
  const progress = { ...sampleProgress(), memory: { server: 3 * 2 ** 30, client: 2 ** 30 } };
  const pods = [pod('server', RUNNING)];
  const told = (job: JobObject, heard: JobProgress | null = progress) => look(job, world({ pods }), 5, heard);
  const low = told(limited('2Gi', '900M'));
  t.strictSame(low.memory, progress.memory);
  t.match(condition(low, 'MemorySufficient'), {
    status: 'False',
    reason: 'LimitBelowPlan',
    message:
      'A server pod needs at least 3.00 GiB of memory by the plan, and spec.server.resources.limits.memory is 2Gi. A client pod needs at least 1.00 GiB of memory by the plan, and spec.client.podTemplate.spec.containers[0].resources.limits.memory is 900M. Raise spec.server.resources.limits.memory and spec.client.podTemplate.spec.containers[0].resources.limits.memory, or use shorter sequences or smaller batches.',
  });
  t.match(eventsBetween({}, low, null), [{ reason: 'Running' }, { type: 'Warning', reason: 'LimitBelowPlan' }]);
  const enough = told(limited('3072Mi', '1.5e9'));
  t.match(condition(enough, 'MemorySufficient'), { status: 'True', reason: 'LimitHoldsPlan' });
  t.match(
    condition(told(limited('2Gi', '1Gi')), 'MemorySufficient')?.message,
    /^A server pod [^.]+\.00 GiB[^.]*spec\.server[^A]*Raise/,
  );
  t.equal(condition(told(jobObject()), 'MemorySufficient'), undefined, 'no limits');
  t.equal(condition(told(limited('2Gi'), null), 'MemorySufficient'), undefined, 'no plan yet');
  const later = look({ ...limited('2Gi'), status: told(limited('2Gi')) }, world({ pods }), 9);
  t.match(condition(later, 'MemorySufficient'), { status: 'False' }, 'also if no more progress arrives');
  const refused = { ...limited('2Gi'), status: { phase: 'Failed' as const } };
  const ended = look(refused, world({ pods }), 9, progress);
  t.match(ended, { phase: 'Failed', memory: progress.memory });
  t.match(condition(ended, 'MemorySufficient'), { status: 'False' }, 'the plan of a pod that refused may arrive late');
});
