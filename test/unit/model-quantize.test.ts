// The emulator's projections in 8 bits: their file, their bundle, and what reads them.
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { openBundle } from '../../worker/bundle/open.ts';
import { parseManifest } from '../../worker/bundle/manifest.ts';
import { writeBundle } from '../../worker/bundle/write.ts';
import { estimateJob } from '../../worker/estimate/job-estimate.ts';
import { matrixProduct } from '../../worker/engine/matrix-product.ts';
import { sha256 } from '../../worker/files/sha256.ts';
import { loadTrunk } from '../../worker/inference/trunk-runner.ts';
import { openModelDirectory } from '../../worker/model/directory.ts';
import type { FederatedModel } from '../../worker/model/federated-model.ts';
import { quantizeEmulator } from '../../worker/model/quantize.ts';
import { plannedModel } from '../../worker/run/estimate-job.ts';
import { readJob } from '../../worker/run/job-manifest.ts';
import { federateModel } from '../../worker/run/job-model.ts';
import { READ_ONCE } from '../../worker/safetensors/checked-content.ts';
import { readSafetensorsHeader, readTensor, writeSafetensors } from '../../worker/safetensors/safetensors.ts';
import type { TensorData } from '../../worker/safetensors/safetensors.ts';
import { maxError, relativeError } from '../support/fixture-tensors.ts';
import { matrixOf, roundedModel } from '../support/rounded-model.ts';
import { testCompute } from '../support/test-compute.ts';
import { writeTinyJob } from '../support/tiny-job.ts';

const EMULATOR = '{ weights: Int8, layerDropRate: 0.5, alignment: { initialSteps: 2 } }';
const WEIGHT = 'model.layers.0.mlp.up_proj.weight';
const compute = testCompute();
t.teardown(() => compute.close());

async function quantized(root: string, sections: Readonly<Record<string, string>> = {}) {
  const { spec } = readJob(writeTinyJob(root, { emulator: EMULATOR, ...sections }));
  const directory = await openModelDirectory(join(root, 'model'));
  zeroOutput(directory.weights.get(WEIGHT)!);
  const stored = await federateModel(directory, spec, () => Promise.reject(new Error('uniform')));
  const options = { modelSha256: 'x', held: 'auto', product: 'Float32' } as const;
  const write = async () => (await quantizeEmulator(stored, join(root, 'cache'), options)).model;
  return { spec, directory, stored, write, model: await write() };
}

/** Sets the weights of output 3 to zero. */
function zeroOutput({
  file,
  offset,
  bytes,
  shape,
}: {
  file: string;
  offset: number;
  bytes: number;
  shape: readonly number[];
}) {
  const content = readFileSync(file);
  const row = bytes / shape[0]!;
  content.fill(0, offset + 3 * row, offset + 4 * row);
  writeFileSync(file, content);
}

t.test('weights are rounded to 8 bits with a scale per output, once', async (t) => {
  const { model, stored, write } = await quantized(t.testdir({}));
  const { emulator } = model.split;
  t.equal(model.quantized?.index.size, 7 * emulator.length);
  for (const name of model.quantized!.index.keys()) {
    const { values, scales, shape } = matrixOf(model.quantized!, name);
    const entry = stored.weights.get(name)!;
    const [outputs, inputs] = entry.shape as [number, number];
    t.same(shape, [inputs, outputs]);
    const weights = readTensor(entry.file, entry);
    for (let output = 0; output < outputs; output++) {
      const row = [...weights.subarray(output * inputs, (output + 1) * inputs)];
      const integers = row.map((_, input) => values[input * outputs + output]!);
      const scale = scales[output]!;
      const isZero = name === WEIGHT && output === 3;
      t.equal(Math.max(...integers.map(Math.abs)), isZero ? 0 : 127);
      t.equal(scale, isZero ? 1 : Math.fround(Math.max(...row.map(Math.abs)) / 127));
      if (
        !(
          maxError(
            integers.map((integer) => integer * scale),
            row,
          ) <=
          scale / 1.999
        )
      )
        t.fail(`${name}[${output}]`);
    }
  }
  const { file } = model.quantized!.index.get(WEIGHT)!.values;
  const { mtimeNs } = statSync(file, { bigint: true });
  await write();
  t.equal(statSync(file, { bigint: true }).mtimeNs, mtimeNs, 'the second time, nothing is written');
});

for (const placement of ['Last', 'Both'])
  t.test(`${placement}: the emulator computes with the rounded weights, the teacher part with its own`, async (t) => {
    const root = t.testdir({});
    const { model, stored } = await quantized(root, { adapter: `{ layers: 1, placement: ${placement} }` });
    const states = async (of: FederatedModel, trunk: 'teacher' | 'emulator') => {
      const last = of.split[trunk].at(-1)!;
      const runner = await loadTrunk(compute, of, trunk, [last]);
      const sequence = { id: 'a', inputIds: Int32Array.from({ length: 30 }, (_, i) => (i * 37) % 500) };
      const vectors = {
        ...(of.split.front.length > 0 && { adapter: zeros(of.adapter.layout.size) }),
        ...(trunk === 'emulator' && { emulator: zeros(of.emulator.layout.size) }),
      };
      return (await runner.runAll([[sequence]], vectors))[0]![0]![0]!;
    };
    t.same(await states(model, 'teacher'), await states(stored, 'teacher'));
    const found = [...(await states(model, 'emulator'))];
    const expected = [...(await states(roundedModel(model, join(root, 'rounded.safetensors')), 'emulator'))];
    const error = relativeError(found, expected);
    t.ok(error < 1e-5, `relative error ${error}`);
    const rounding = relativeError(found, [...(await states(stored, 'emulator'))]);
    t.ok(rounding > 1e-4 && rounding < 0.05, `the rounding of weights moves the states by ${rounding}`);
    if (matrixProduct('cpu') !== 'Int8')
      return t.comment('NOT CHECKED: this processor does not multiply bytes exactly');
    const int8: FederatedModel = { ...model, quantized: { ...model.quantized!, product: 'Int8' } };
    const both = relativeError([...(await states(int8, 'emulator'))], expected);
    t.ok(both > 1e-5 && both < 0.05, `the rounding of rows moves them by ${both}`);
  });

const zeros = (size: number) => ({ dtype: 'float32', shape: [size], data: new Float32Array(size) }) as const;

t.test('a bundle carries the quantised projections, and is opened as a model with them', async (t) => {
  const root = t.testdir({});
  const { spec, model, stored, directory } = await quantized(root);
  const bundle = await writeBundle(model, directory.path, join(root, 'bundle'));
  const opened = (await openBundle(bundle.directory, bundle.sha256, spec, READ_ONCE, 'Int8')).model;
  t.equal(opened.quantized?.product, 'Int8');
  for (const name of model.quantized!.index.keys()) {
    t.same(matrixOf(opened.quantized!, name), matrixOf(model.quantized!, name), name);
    t.notOk(opened.weights.has(name));
  }
  const whole = await writeBundle(stored, directory.path, join(root, 'whole'));
  const bytes = (folder: string) => statSync(join(folder, 'model.safetensors')).size;
  const header = 20_000;
  const plan = estimateJob(await plannedModel(directory, spec), spec, {
    publicSequences: 8,
    heldOutSequences: 8,
    workers: 1,
    available: 1e9,
  });
  t.ok(Math.abs(bytes(bundle.directory) - plan.bytes.emulatorBundle) < header, 'the plan knows its size');
  t.ok(bytes(bundle.directory) + header < bytes(whole.directory), 'it is smaller');
  const asStored = { ...spec, emulator: { ...spec.emulator, weights: 'AsStored' as const } };
  await t.rejects(openBundle(bundle.directory, bundle.sha256, asStored), { message: /proj\.weight .* is missing/ });
  await t.rejects(openBundle(whole.directory, whole.sha256, spec), {
    message: /proj\.weight_int8 as I8 .* it is missing/,
  });
});

t.test('a bundle with other tensors than the job requires is refused', async (t) => {
  const root = t.testdir({});
  const { spec, model, directory } = await quantized(root);
  const bundle = await writeBundle(model, directory.path, join(root, 'bundle'));
  const path = join(bundle.directory, 'model.safetensors');
  const right = readFileSync(path);
  const tensors = [...readSafetensorsHeader(path).tensors].map(
    ([name, { dtype, shape, offset, bytes }]): TensorData => ({
      name,
      dtype,
      shape,
      data: right.subarray(offset, offset + bytes),
    }),
  );
  const refused = async (change: (tensor: TensorData) => TensorData[], message: RegExp, hint?: RegExp) => {
    writeSafetensors(path, tensors.flatMap(change));
    const manifest = parseManifest(readFileSync(join(bundle.directory, 'bundle.json')));
    const files = manifest.files.map((file) =>
      file.name === 'model.safetensors'
        ? { ...file, bytes: statSync(path).size, sha256: sha256(readFileSync(path)) }
        : file,
    );
    const text = JSON.stringify({ ...manifest, files });
    writeFileSync(join(bundle.directory, 'bundle.json'), text);
    await t.rejects(openBundle(bundle.directory, sha256(text), spec), {
      name: 'UserError',
      message,
      ...(hint && { hint }),
    });
  };
  const only = (name: string, change: (tensor: TensorData) => TensorData[]) => (tensor: TensorData) =>
    tensor.name === name ? change(tensor) : [tensor];
  const scales = (...first: number[]) =>
    only(`${WEIGHT}_scale`, (tensor) => {
      const values = new Float32Array(tensor.data.byteLength / 4).fill(0.5);
      values.set(first);
      return [{ ...tensor, data: new Uint8Array(values.buffer) }];
    });
  for (const scale of [0, -1, Number.NaN, Infinity])
    await refused(scales(1, scale), new RegExp(`${WEIGHT}_scale in .* holds the scale ${scale}`), /the same job/);
  await refused(
    only(`${WEIGHT}_int8`, () => []),
    /up_proj\.weight_int8 as I8 \[48, 96\], but it is missing/,
    /the same job/,
  );
  await refused(
    only(`${WEIGHT}_int8`, (tensor) => [{ ...tensor, shape: tensor.shape.toReversed() }]),
    /up_proj\.weight_int8 as I8 \[48, 96\], but it is I8 \[96, 48\]/,
  );
  await refused(
    only(`${WEIGHT}_int8`, (tensor) => [{ ...tensor, dtype: 'U8' }]),
    /but it is U8/,
  );
  await refused(
    only(`${WEIGHT}_int8`, (tensor) => [tensor, { ...tensor, name: 'model.layers.1.mlp.up_proj.weight_int8' }]),
    /holds model\.layers\.1\.mlp\.up_proj\.weight_int8, which no client may have/,
  );
  await refused(
    only(`${WEIGHT}_int8`, (tensor) => [tensor, { ...tensor, name: WEIGHT, dtype: 'I8' }]),
    /holds model\.layers\.0\.mlp\.up_proj\.weight, which no client may have/,
  );
});
