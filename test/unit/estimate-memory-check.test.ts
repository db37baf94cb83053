import t from 'tap';
import { checkMemory, checkPodMemory } from '../../worker/estimate/memory-check.ts';

const GIB = 2 ** 30;
const needed = (required: number, filePages: number) => ({
  total: (required + filePages) * GIB,
  filePages: filePages * GIB,
});
const onMachine = (required: number, filePages: number, available: number, force = false) =>
  checkMemory('this run', needed(required, filePages), { available: available * GIB, force });
const inPod = (required: number, filePages: number, limit: number) =>
  checkPodMemory(needed(required, filePages), 'spec.server.resources.limits.memory', limit * GIB);

t.test('memory that suffices for all is no reason for words', async (t) => {
  t.same(onMachine(2, 13, 15), []);
  t.same(inPod(2, 13, 15), []);
  t.same(checkPodMemory(needed(2, 13), 'spec.server.resources.limits.memory', null), [], 'a pod without a limit');
});

t.test('files that do not fit are read again, which is slow and no failure', async (t) => {
  t.match(onMachine(2, 13, 4), [
    /^this run uses 13\.0 GiB of the model's files beside 2\.00 GiB of memory; the 4\.00 GiB of this machine cannot/,
  ]);
  t.match(inPod(2, 13, 4), [/^this pod uses 13\.0 GiB .* the 4\.00 GiB of its limit cannot/]);
});

t.test('memory that no file backs must be there', async (t) => {
  t.throws(() => onMachine(5, 13, 4), {
    message: /needs about 5\.00 GiB .* only 4\.00 GiB available/,
    hint: /--force/,
  });
  t.match(onMachine(5, 13, 4, true), [/needs about 5\.00 GiB .*: shorter sequences/]);
  t.match(
    inPod(5, 13, 4),
    [/^this pod needs about 5\.00 GiB of memory, but its limit is 4\.00 GiB$/],
    'within the margin',
  );
  t.throws(() => inPod(6, 13, 4), { message: /needs about 6\.00 GiB/, hint: /Raise spec\.server/ });
});
