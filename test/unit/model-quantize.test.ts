// The emulator's projections in 8 and in 4 bits: their file, their bundle, and what reads them.
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { openBundle } from '../../worker/bundle/open.ts';
import { parseManifest } from '../../worker/bundle/manifest.ts';
import { writeBundle } from '../../worker/bundle/write.ts';
import { estimateJob } from '../../worker/estimate/job-estimate.ts';
import { matrixProduct } from '../../worker/engine/matrix-product.ts';
import { sha256 } from '../../worker/files/sha256.ts';
import { loadTrunk } from '../../worker/inference/trunk-runner.ts';
import { openModelDirectory } from '../../worker/model/directory.ts';
import type { FederatedModel } from '../../worker/model/federated-model.ts';
import { quantizeEmulator, TO_NEAREST } from '../../worker/model/quantize.ts';
import type { Rounding } from '../../worker/model/quantize.ts';
import { partsOf } from '../../worker/model/weights/quantized-formats.ts';
import type { QuantizedFormat } from '../../worker/model/weights/quantized-formats.ts';
import type { QuantizedEntry } from '../../worker/model/weights/quantized-index.ts';
import { plannedModel } from '../../worker/run/estimate-job.ts';
import { readJob } from '../../worker/run/job-manifest.ts';
import { federateModel } from '../../worker/run/job-model.ts';
import { READ_ONCE } from '../../worker/safetensors/checked-content.ts';
import { readSafetensorsHeader, readTensor, writeSafetensors } from '../../worker/safetensors/safetensors.ts';
import type { TensorData } from '../../worker/safetensors/safetensors.ts';
import { maxError, relativeError } from '../support/fixture-tensors.ts';
import { bytesOf, matrixOf, roundedModel, widenedOf } from '../support/rounded-model.ts';
import { testCompute } from '../support/test-compute.ts';
import { writeTinyJob } from '../support/tiny-job.ts';
import { WHOLE_BLOCKS } from '../support/tiny-model.ts';

const FORMATS = ['Int8', 'Int4'] as const;
const WEIGHT = 'model.layers.0.mlp.up_proj.weight';
const compute = testCompute();
t.teardown(() => compute.close());

async function quantized(root: string, format: QuantizedFormat, sections: Readonly<Record<string, string>> = {}) {
  const emulator = `{ weights: ${format}, layerDropRate: 0.5, alignment: { initialSteps: 2 } }`;
  const { spec } = readJob(writeTinyJob(root, { emulator, ...sections }, WHOLE_BLOCKS));
  const directory = await openModelDirectory(join(root, 'model'));
  zeroOutput(directory.weights.get(WEIGHT)!);
  const stored = await federateModel(directory, spec, () => Promise.reject(new Error('uniform')));
  const options = { modelSha256: 'x', checkUnchanged: () => {}, held: 'auto', product: 'Float32' } as const;
  const write = async () => (await quantizeEmulator(stored, format, join(root, 'cache'), options)).model;
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
  const { model, stored, write } = await quantized(t.testdir({}), 'Int8');
  const { emulator } = model.split;
  t.equal(model.quantized?.emulator.size, 7 * emulator.length);
  for (const name of model.quantized!.emulator.keys()) {
    const { values, scales, shape } = matrixOf(model.quantized!.emulator, name);
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
  await writesOnce(t, model, write);
});

async function writesOnce(t: Test, model: FederatedModel, write: () => Promise<FederatedModel>) {
  const { file } = model.quantized!.emulator.get(WEIGHT)!.values;
  const { mtimeNs } = statSync(file, { bigint: true });
  await write();
  t.equal(statSync(file, { bigint: true }).mtimeNs, mtimeNs, 'the second time, nothing is written');
}

t.test('weights are rounded to 4 bits in blocks of 32 inputs, once', async (t) => {
  const { model, stored, write } = await quantized(t.testdir({}), 'Int4');
  t.equal(model.quantized?.emulator.size, 7 * model.split.emulator.length);
  for (const [name, entry] of model.quantized!.emulator) {
    const weight = stored.weights.get(name)!;
    const [outputs, inputs] = weight.shape as [number, number];
    t.same(entry.values.shape, [outputs, inputs / 32, 16]);
    const { values, shape } = widenedOf(entry);
    t.same(shape, weight.shape);
    const rows = readTensor(weight.file, weight);
    const scales = readTensor(entry.scales.file, entry.scales);
    // The range begins and ends between two levels, up to half a step away.
    const wrong = values.findIndex((v, i) => !(Math.abs(v - rows[i]!) <= 1.001 * scales[Math.floor(i / 32)]!));
    if (wrong >= 0) t.fail(`${name}: weight ${wrong} is ${rows[wrong]}, rounded ${values[wrong]}`);
  }
  await writesOnce(t, model, write);
});

t.test('another rounding has a file of its own, and is ended with it', async (t) => {
  const root = t.testdir({});
  const { stored, write } = await quantized(root, 'Int4');
  let ended = 0;
  const rounding = (key: string, count: number): Rounding => ({
    key,
    matrices: async function* (request) {
      try {
        const nearest = TO_NEAREST.Int4.matrices(request);
        for (let i = 0; i < count; i++) yield (await nearest.next()).value ?? [];
      } finally {
        ended++;
      }
    },
  });
  const options = { modelSha256: 'x', checkUnchanged: () => {}, held: 'auto', product: 'Float32' } as const;
  const fileOf = async (key: string, count = Infinity) => {
    const { model } = await quantizeEmulator(stored, 'Int4', join(root, 'cache'), options, rounding(key, count));
    return model.quantized!.emulator.get(WEIGHT)!.values.file;
  };
  await t.rejects(fileOf('too few', 3), { message: /produced 0 bytes/ });
  const [a, b, nearest] = [await fileOf('a'), await fileOf('b'), (await write()).quantized!.emulator.get(WEIGHT)!];
  t.equal(new Set([a, b, nearest.values.file]).size, 3);
  t.same(readFileSync(a), readFileSync(b));
  t.equal(await fileOf('a', 0), a, 'it is not rounded again');
  t.equal(ended, 3);
});

t.test('a layer that another process writes meanwhile does not shift the others', async (t) => {
  const root = t.testdir({});
  const { stored, model } = await quantized(root, 'Int8');
  const fileOf = ({ quantized }: FederatedModel, layer: number) =>
    quantized!.emulator.get(WEIGHT.replace('0', String(layer)))!.values.file;
  const layers = stored.split.emulator;
  const { matrices } = TO_NEAREST.Int8;
  let other = '';
  const rounding: Rounding = {
    key: 'b',
    matrices: async function* (request) {
      other = dirname(request.unfinished);
      for (const layer of layers.slice(1)) writeFileSync(join(other, basename(fileOf(model, layer))), 'damaged');
      yield* matrices(request);
    },
  };
  const options = { modelSha256: 'x', checkUnchanged: () => {}, held: 'auto', product: 'Float32' } as const;
  const again = await quantizeEmulator(stored, 'Int8', join(root, 'cache'), options, rounding);
  for (const layer of layers) {
    t.equal(dirname(fileOf(again.model, layer)), other);
    t.same(readFileSync(fileOf(again.model, layer)), readFileSync(fileOf(model, layer)), `layer ${layer}`);
  }
});

t.test('4 bits hold whole pairs of blocks only', async (t) => {
  const root = t.testdir({});
  const { spec } = readJob(writeTinyJob(root, {}));
  const stored = await openModelDirectory(join(root, 'model'));
  const narrow = await federateModel(stored, spec, () => Promise.reject(new Error('uniform')));
  const options = { modelSha256: 'x', checkUnchanged: () => {}, held: 'auto', product: 'Float32' } as const;
  await t.rejects(quantizeEmulator(narrow, 'Int4', join(root, 'cache'), options), {
    name: 'UserError',
    message: 'Int4 holds matrices whose inputs are a multiple of 64, but q_proj has 48',
    hint: /Int8 or AsStored/,
  });
  const int4 = { ...spec, emulator: { ...spec.emulator, weights: 'Int4' as const } };
  await t.rejects(plannedModel(stored, int4), { name: 'UserError', message: /multiple of 64/ }, 'the plan says so');
});

for (const { placement, format } of [
  { placement: 'Last', format: 'Int8' },
  { placement: 'Both', format: 'Int8' },
  { placement: 'Last', format: 'Int4' },
  { placement: 'Both', format: 'Int4' },
] as const)
  t.test(`${placement}: the emulator computes with ${format} weights, the teacher part with its own`, async (t) => {
    const root = t.testdir({});
    const { model, stored } = await quantized(root, format, { adapter: `{ layers: 1, placement: ${placement} }` });
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
    const most = format === 'Int8' ? 0.05 : 0.8;
    t.ok(rounding > 1e-4 && rounding < most, `the rounding of weights moves the states by ${rounding}`);
    if (matrixProduct('cpu') !== 'Int8')
      return t.comment('NOT CHECKED: this processor does not multiply bytes exactly');
    const int8: FederatedModel = { ...model, quantized: { ...model.quantized!, product: 'Int8' } };
    const both = relativeError([...(await states(int8, 'emulator'))], expected);
    t.ok(both > 1e-5 && both < 0.05, `the rounding of rows moves them by ${both}`);
  });

const zeros = (size: number) => ({ dtype: 'float32', shape: [size], data: new Float32Array(size) }) as const;

for (const format of FORMATS)
  t.test(`a bundle carries projections in ${format}, and is opened as a model with them`, async (t) => {
    const root = t.testdir({});
    const { spec, model, stored, directory } = await quantized(root, format);
    const bundle = await writeBundle(model, directory.path, join(root, 'bundle'));
    const opened = (await openBundle(bundle.directory, bundle.sha256, spec, READ_ONCE, 'Int8')).model;
    t.equal(opened.quantized?.product, 'Int8');
    const contents = (entry: QuantizedEntry) => partsOf(entry).map((part) => [part.name, part.shape, bytesOf(part)]);
    for (const [name, entry] of model.quantized!.emulator) {
      t.same(contents(opened.quantized!.emulator.get(name)!), contents(entry), name);
      t.notOk(opened.weights.has(name));
    }
    const whole = await writeBundle(stored, directory.path, join(root, 'whole'));
    const bytes = (folder: string) => statSync(join(folder, 'model.safetensors')).size;
    const header = 20_000;
    const plan = estimateJob(await plannedModel(directory, spec), spec, {
      publicSequences: 8,
      heldOutSequences: 8,
      workers: 1,
      provider: 'cpu',
      available: 1e9,
    });
    t.ok(Math.abs(bytes(bundle.directory) - plan.bytes.emulatorBundle) < header, 'the plan knows its size');
    t.ok(bytes(bundle.directory) + header < bytes(whole.directory), 'it is smaller');
    const asStored = { ...spec, emulator: { ...spec.emulator, weights: 'AsStored' as const } };
    await t.rejects(openBundle(bundle.directory, bundle.sha256, asStored), { message: /proj\.weight .* is missing/ });
    await t.rejects(openBundle(whole.directory, whole.sha256, spec), {
      message: new RegExp(`proj\\.weight_${format.toLowerCase()} as (I8|U8) .* it is missing`),
    });
  });

for (const { format, dtype, shape, other } of [
  { format: 'Int8', dtype: 'I8', shape: [64, 128], other: 'U8' },
  { format: 'Int4', dtype: 'U8', shape: [128, 2, 16], other: 'I8' },
] as const)
  t.test(`a bundle with other tensors than a job with ${format} requires is refused`, async (t) => {
    const root = t.testdir({});
    const { spec, model, directory } = await quantized(root, format);
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
    const suffix = `_${format.toLowerCase()}`;
    const values = `${WEIGHT}${suffix}`;
    const required = `${values} as ${dtype} [${shape.join(', ')}], but`;
    const literally = (text: string) => new RegExp(text.replace(/[[\].]/g, '\\$&'));
    await refused(
      only(values, () => []),
      literally(`${required} it is missing`),
      /the same job/,
    );
    await refused(
      only(values, (tensor) => [{ ...tensor, shape: tensor.shape.toReversed() }]),
      literally(`${required} it is ${dtype} [${shape.toReversed().join(', ')}]`),
    );
    await refused(
      only(values, (tensor) => [{ ...tensor, dtype: other }]),
      literally(`${required} it is ${other}`),
    );
    if (format === 'Int4')
      await refused(
        only(`${WEIGHT}_zero`, () => []),
        /up_proj\.weight_zero as U8 \[128, 1\], but it is missing/,
      );
    await refused(
      only(values, (tensor) => [tensor, { ...tensor, name: `model.layers.1.mlp.up_proj.weight${suffix}` }]),
      literally(`holds model.layers.1.mlp.up_proj.weight${suffix}, which no client may have`),
    );
    await refused(
      only(values, (tensor) => [tensor, { ...tensor, name: WEIGHT, dtype: 'I8' }]),
      /holds model\.layers\.0\.mlp\.up_proj\.weight, which no client may have/,
    );
  });
