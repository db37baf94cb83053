// Bundles with an emulator in 4 bits: the bytes of their weights, and packed levels, scales and zero points that are
// changed one at a time in a file that is otherwise valid.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { WEIGHTS_FILE } from '../../worker/bundle/manifest.ts';
import { openBundle } from '../../worker/bundle/open.ts';
import { partsOf, quantizedProjections } from '../../worker/model/weights/quantized-formats.ts';
import { tensorsOf } from '../../worker/model/weights/quantized-index.ts';
import { tensorBytes } from '../../worker/safetensors/header.ts';
import { encodeSafetensors, readSafetensorsHeader, readTensor } from '../../worker/safetensors/safetensors.ts';
import type { TensorData } from '../../worker/safetensors/safetensors.ts';
import { fuzz } from './harness.ts';
import { mutatedBytes } from './mutations.ts';
import { oddBundle } from './odd-bundle.ts';

const { spec, bundle, manifest, odd, withFile } = await oddBundle(t.testdir({}), 'Int4');
const weights = join(bundle.directory, WEIGHTS_FILE);
const right = readFileSync(weights);
const { tensors: header, metadata } = readSafetensorsHeader(weights);
const tensors = [...header].map(([name, { dtype, shape, offset, bytes }]): TensorData => ({
  name,
  dtype,
  shape,
  data: right.subarray(offset, offset + bytes),
}));
const quantized = tensors.filter(({ name }) => /_(int4|scale|zero)$/.test(name));

/** A bundle that is opened has matrices that products can read: of the job's shapes, with scales that are usable. */
async function opened(bytes: Uint8Array): Promise<void> {
  const { model } = await openBundle(odd, withFile(WEIGHTS_FILE, bytes), spec);
  const index = model.quantized!.emulator;
  for (const { weight, parts } of quantizedProjections('Int4', model.config, manifest.split.emulator)) {
    const entry = index.get(weight)!;
    for (const [i, { name, dtype, shape, offset, bytes: size }] of partsOf(entry).entries()) {
      const wanted = partsOf(parts)[i]!;
      if (name !== wanted.name || dtype !== wanted.dtype || String(shape) !== String(wanted.shape))
        throw new Error(`${name} was opened as ${dtype} [${shape.join(', ')}]`);
      if (size !== tensorBytes(dtype, shape) || offset + size > bytes.byteLength)
        throw new Error(`${name} was opened with ${size} bytes`);
    }
    const scale = readTensor(entry.scales.file, entry.scales).find((scale) => !(scale > 0 && scale < Infinity));
    if (scale !== undefined) throw new Error(`${weight} was opened with the scale ${scale}`);
  }
  const stored = tensorsOf(index).find(({ name }) => model.weights.has(name.replace(/_(int4|scale|zero)$/, '')));
  if (stored) throw new Error(`${stored.name} was opened beside the weight that it replaces`);
}

type Change = (tensor: TensorData) => TensorData[];

/** The same bytes as another tensor, cut off or followed by zeros. */
function as({ data, ...tensor }: TensorData, changed: Partial<Pick<TensorData, 'dtype' | 'shape'>>): TensorData {
  const shaped = { ...tensor, ...changed };
  const bytes = new Uint8Array(tensorBytes(shaped.dtype, shaped.shape));
  bytes.set(data.subarray(0, bytes.byteLength));
  return { ...shaped, data: bytes };
}

const dtypes = ['U8', 'I8', 'BOOL', 'F16', 'BF16', 'I32', 'F32', 'F64', 'U64'] as const;
const scale = fc.constantFrom(0, -0, -1, NaN, Infinity, -Infinity, 1e-45, 3e38, 1);

const change = fc.oneof<fc.Arbitrary<Change>[]>(
  fc.array(fc.nat(130), { maxLength: 4 }).map((shape) => (tensor) => [as(tensor, { shape })]),
  fc
    .nat(3)
    .map((axis) => (tensor) => [as(tensor, { shape: tensor.shape.map((size, i) => size + Number(i === axis)) })]),
  fc.constant((tensor) => [as(tensor, { shape: tensor.shape.toReversed() })]),
  fc.constant((tensor) => [as(tensor, { shape: [tensor.shape.reduce((a, b) => a * b, 1)] })]),
  fc.constantFrom(...dtypes).map((dtype) => (tensor) => [as(tensor, { dtype })]),
  fc.constant(() => []),
  fc
    .constantFrom('_int4', '_int8', '_scale', '_zero', '', '_')
    .map((suffix) => (tensor) => [{ ...tensor, name: `${tensor.name.replace(/_(int4|scale|zero)$/, '')}${suffix}` }]),
  fc.tuple(fc.nat(), scale).map(([at, value]) => (tensor) => {
    const data = Buffer.from(tensor.data);
    data.writeFloatLE(value, (at % (data.byteLength / 4)) * 4);
    return [{ ...tensor, data }];
  }),
  fc.tuple(fc.nat(), fc.nat(255)).map(([at, value]) => (tensor) => {
    const data = Buffer.from(tensor.data);
    data[at % data.byteLength] = value;
    return [{ ...tensor, data }];
  }),
);

await t.test('the bundle itself is opened', () => opened(right));

t.test('the bytes of the weights', (t) =>
  fuzz(t, { name: 'bytes', inputs: mutatedBytes(right), runs: 50, attempt: opened }),
);

t.test('packed levels, scales and zero points', async (t) => {
  const inputs = fc.tuple(fc.constantFrom(...quantized), change).map(([chosen, changed]) => {
    const others = tensors.filter(({ name }) => name !== chosen.name);
    const more = changed(chosen).filter(({ name }) => others.every((other) => other.name !== name));
    return encodeSafetensors([...others, ...more], metadata);
  });
  await fuzz(t, { name: 'tensors', inputs, runs: 100, attempt: opened });
});
