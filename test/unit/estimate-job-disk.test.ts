// What a job writes to disk, and whether it is refused for lack of space.
import { mkdirSync, renameSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { checkDisk, convertedFiles, jobDisk } from '../../worker/estimate/job-disk.ts';
import { freeBytes } from '../../worker/files/free-space.ts';
import { openModelDirectory } from '../../worker/model/directory.ts';
import { plannedModel } from '../../worker/run/estimate-job.ts';
import { readJob } from '../../worker/run/job-manifest.ts';
import { BUNDLE_FOLDER, remainingDisk } from '../../worker/run/run-disk.ts';
import { writeTinyJob } from '../support/tiny-job.ts';
import { WHOLE_BLOCKS } from '../support/tiny-model.ts';

const GIB = 2 ** 30;

t.test('free space of a folder that does not exist yet is that of its parent', async (t) => {
  const root = t.testdir();
  const { bavail, bsize } = statfsSync(root);
  const free = freeBytes(join(root, 'not', 'yet')) ?? 0;
  t.ok(Math.abs(free - bavail * bsize) < GIB, 'but for what others write meanwhile');
  t.equal(freeBytes('/proc/self'), null, 'a file system without a size');
});

t.test('bytes that must be written are a reason to refuse, a cache is none', async (t) => {
  const planned = (required: number, cached: number) => ({
    what: 'this run',
    folder: 'out/cache',
    required: required * GIB,
    cached: cached * GIB,
    hint: 'Free some space.',
  });
  t.same(checkDisk(planned(3, 4), 7 * GIB), []);
  t.same(checkDisk(planned(3, 4), null), [], 'unknown');
  t.match(checkDisk(planned(3, 4), 5 * GIB), [
    /^this run would keep up to 4\.00 GiB of hidden states in out\/cache, which has 2\.00 GiB of disk space for them/,
  ]);
  t.throws(() => checkDisk(planned(3, 4), 2 * GIB), {
    name: 'Error',
    message: 'this run writes 3.00 GiB to out/cache, which has only 2.00 GiB of free disk space',
    shortage: 'full',
    hint: 'Free some space.',
  });
  t.match(checkDisk(planned(3, 4), 2 * GIB, { force: true }), [/^this run writes 3\.00 GiB .* only 2\.00 GiB/]);
});

t.test('a job’s disk: what an earlier run has left is not written again', async (t) => {
  const directory = t.testdir();
  const job = writeTinyJob(directory, { model: '{ uri: model, dtype: float16 }' });
  const { spec } = readJob(job);
  const stored = await openModelDirectory(join(dirname(job), 'model'));
  const model = await plannedModel(stored, spec);
  const bytes = { emulatorBundle: 11, hiddenStateCache: 13 };
  const disk = jobDisk(stored.weights, model, spec, bytes);
  const values = [...stored.weights.values()].reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  t.match(disk, { convertedWeights: 2 * values, ...bytes });
  const [adapter, emulator] = [model.adapter.layout.size, model.emulator.layout.size];
  // Two checkpoints and the next one; two clients' results and the adapter.
  t.equal(disk.checkpoints, 4 * (3 * (adapter + 4 * emulator) + 3 * adapter));
  const asStored = { ...spec, model: { ...spec.model, dtype: 'auto' as const } };
  t.equal(jobDisk(stored.weights, await plannedModel(stored, asStored), asStored, bytes).convertedWeights, 0);

  const cache = join(directory, 'run', 'cache');
  const left = (what: 'this run' | 'this server pod') =>
    remainingDisk(what, cache, { stored: stored.weights, model, bytes }, spec);
  t.match(left('this run'), { required: 2 * values, cached: 13, hint: /--out.*model\.dtype: auto/ });
  t.match(left('this server pod'), { required: 2 * values + 11, cached: 13, hint: /volumes\.output/ });
  for (const name of ['weights-ab-float16', 'teacher-ab', BUNDLE_FOLDER])
    mkdirSync(join(cache, name), { recursive: true });
  const bundle = join(cache, BUNDLE_FOLDER, 'model.safetensors');
  t.match(left('this server pod'), { required: 2 * values + 11 }, 'a bundle of which nothing was written');
  writeFileSync(`${bundle}.partial`, Buffer.alloc(4));
  t.match(left('this server pod'), { required: 2 * values + 7 }, 'a bundle whose process was killed: it is removed');
  renameSync(`${bundle}.partial`, bundle);
  writeFileSync(bundle, Buffer.alloc(11 + 80));
  t.match(left('this run'), { required: 2 * values }, 'a run writes no bundle');
  t.match(left('this server pod'), { required: 2 * values, cached: 0 }, 'a conversion that failed');
  const file = (folder: string) => join(cache, folder, 'model.safetensors');
  const partial = `${file('weights-ab-float16')}.partial`;
  writeFileSync(partial, Buffer.alloc(100));
  t.match(left('this server pod'), { required: 2 * values - 100, cached: 0 }, 'one that was killed: it is overwritten');
  const header = 1000;
  writeFileSync(partial, Buffer.alloc(2 * values + header));
  t.match(left('this server pod'), { required: 0, cached: 0 }, 'killed before the file had its name');
  renameSync(partial, file('weights-ab-float16'));
  t.match(left('this server pod'), { required: 0, cached: 0, hint: /^[^;]*$/ });

  const int8 = { ...spec, emulator: { ...spec.emulator, weights: 'Int8' as const } };
  const quantized = await plannedModel(stored, int8);
  const matrices = [...quantized.quantized!.emulator.values()];
  const more = matrices.reduce(
    (sum, { values, scales }) => sum + values.shape[0]! * values.shape[1]! + 4 * scales.shape[0]!,
    0,
  );
  const both = jobDisk(stored.weights, quantized, int8, bytes);
  t.equal(both.convertedWeights, 2 * values + more, 'the quantised emulator is written after the converted weights');
  const required = () =>
    remainingDisk('this run', cache, { stored: stored.weights, model: quantized, bytes }, int8).required;
  t.equal(required(), more, 'the converted weights are complete, and their header is no part of the other file');
  mkdirSync(join(cache, 'weights-cd-int8'));
  writeFileSync(`${file('weights-cd-int8')}.partial`, Buffer.alloc(100));
  t.equal(required(), more - 100);
  renameSync(`${file('weights-cd-int8')}.partial`, file('weights-cd-int8'));
  writeFileSync(file('weights-cd-int8'), Buffer.alloc(more + header));
  t.equal(required(), 0);
  rmSync(file('weights-ab-float16'));
  t.equal(required(), 2 * values, 'each file by itself');

  t.same(
    [...convertedFiles(stored.weights, quantized, int8)].map(([suffix]) => suffix),
    ['-float16', '-int8', '-int4'],
  );
  t.equal(both.roundingStates, 0);

  const computed = { ...spec, model: { ...spec.model, computeWeights: 'Int8' as const } };
  const all = jobDisk(stored.weights, await plannedModel(stored, computed), computed, bytes);
  t.ok(all.convertedWeights > 2 * values + more, 'all layers');
  const everything = { ...int8, model: computed.model };
  t.same(jobDisk(stored.weights, await plannedModel(stored, everything), everything, bytes), all, 'are one file');
});

t.test('a rounding to 4 bits needs space for its states until the last layer is there', async (t) => {
  const directory = t.testdir();
  const emulator = '{ weights: Int4, layerDropRate: 0.5, alignment: { initialSteps: 2 } }';
  const { spec } = readJob(writeTinyJob(directory, { emulator }, WHOLE_BLOCKS));
  const stored = await openModelDirectory(join(directory, 'model'));
  const model = await plannedModel(stored, spec);
  const bytes = { emulatorBundle: 0, hiddenStateCache: 0 };
  const { convertedWeights, roundingStates } = jobDisk(stored.weights, model, spec, bytes);
  t.equal(roundingStates, 2 * 8192 * 64 * 4, 'new ones replace the old ones when they are whole');
  const cache = join(directory, 'cache');
  const required = () => remainingDisk('this run', cache, { stored: stored.weights, model, bytes }, spec).required;
  t.equal(required(), convertedWeights + roundingStates);
  const folder = join(cache, 'weights-ab-int4');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'layer-0.safetensors'), Buffer.alloc(1000));
  writeFileSync(join(folder, 'unfinished.safetensors'), Buffer.alloc(5000));
  t.equal(required(), convertedWeights - 1000 + roundingStates, 'states that are there are replaced');
  writeFileSync(join(folder, 'layer-2.safetensors'), Buffer.alloc(convertedWeights));
  t.equal(required(), 0, 'all layers together are complete');
});
