// Whether work is refused for lack of memory, and what is said when memory runs out.
import t from 'tap';
import { checkMemory, checkPodMemory, podMemoryInWords, toldWithPlan } from '../../worker/estimate/memory-check.ts';
import { SystemFailure } from '../../worker/files/system-failure.ts';

const GIB = 2 ** 30;
const planned = (what: string, required: number, filePages: number) => ({
  what,
  needed: { total: (required + filePages) * GIB, filePages: filePages * GIB },
  advice: (available: number) => `Fit into ${available / GIB}.`,
});
const onMachine = (required: number, filePages: number, available: number, force = false) =>
  checkMemory(planned('this run', required, filePages), { available: available * GIB, force });
const FIELD = 'spec.server.resources.limits.memory';
const inPod = (required: number, filePages: number, limit: number) =>
  checkPodMemory(planned('this server pod', required, filePages), FIELD, limit * GIB);

t.test('memory that suffices for all is no reason for words', async (t) => {
  t.same(onMachine(2, 13, 15), []);
  t.same(inPod(2, 13, 15), []);
  t.same(checkPodMemory(planned('this server pod', 2, 13), FIELD, null), [], 'a pod without a limit');
});

t.test('files that do not fit are read again, which is slow and no failure', async (t) => {
  t.match(onMachine(2, 13, 4), [
    /^this run uses 13\.0 GiB of the model's files beside 2\.00 GiB of memory; the 4\.00 GiB of this machine cannot/,
  ]);
  t.match(inPod(2, 13, 4), [/^this server pod uses 13\.0 GiB .* the 4\.00 GiB of its limit cannot/]);
});

t.test('memory that no file backs must be there', async (t) => {
  t.throws(() => onMachine(5, 13, 4), {
    message: /^this run needs about 5\.00 GiB .* only 4\.00 GiB available$/,
    hint: 'Fit into 4. --force ignores the estimate.',
  });
  t.match(onMachine(5, 13, 4, true), [/needs about 5\.00 GiB .*\. Fit into 4\.$/]);
  t.match(
    inPod(5, 13, 4),
    [/^this server pod needs about 5\.00 GiB of memory, but its limit is 4\.00 GiB\. Raise .* Fit into 4\.$/],
    'within the margin',
  );
  t.throws(() => inPod(6, 13, 4), {
    message: /^this server pod needs about 6\.00 GiB of memory, but its limit is 4\.00 GiB$/,
    hint: `Raise ${FIELD} above 6.00 GiB, or make the job smaller: Fit into 4.`,
  });
});

t.test('memory that runs out is reported with the plan’s figures', async (t) => {
  const thrown = (error: unknown) =>
    toldWithPlan(planned('this client pod', 3, 1), podMemoryInWords(4 * GIB), () => Promise.reject(error)).then(
      () => null,
      (told: unknown) => told,
    );
  const lost = new SystemFailure('memory', 'the compute process is out of memory', { hint: 'Use less.' });
  t.match(await thrown(lost), {
    message:
      'the compute process is out of memory; by the plan, this client pod needs about 3.00 GiB, and its limit is 4.00 GiB',
    hint: 'Use less.',
    shortage: 'memory',
    cause: lost,
  });
  t.match(await thrown(new SystemFailure('machineMemory', 'the machine is out of memory')), {
    message: /^the machine is out of memory; by the plan, /,
    shortage: 'machineMemory',
  });
  t.match(await thrown(Object.assign(new Error('fork'), { code: 'ENOMEM', syscall: 'spawn' })), {
    message: /out of memory \(ENOMEM\); by the plan/,
  });
  for (const other of [new SystemFailure('gpuMemory', 'the GPU is out of memory'), new Error('a defect')])
    t.equal(await thrown(other), other, 'the plan has no figures for it');
  t.equal(podMemoryInWords(null), 'it has no memory limit');
});
