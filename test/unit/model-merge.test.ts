import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { LoraSpec, Projection } from '../../crds/types.ts';
import { openModelDirectory } from '../../worker/model/directory.ts';
import { roundFromFloat32 } from '../../worker/safetensors/float-rounding.ts';
import { initialLora, loraLayout } from '../../worker/model/lora/layout.ts';
import { writeMergedModel } from '../../worker/model/merge.ts';
import type { LoraAdapter } from '../../worker/model/lora/peft.ts';
import { readTensor } from '../../worker/safetensors/safetensors.ts';
import { randomStream } from '../../worker/random.ts';

const family = (name: string) => fileURLToPath(new URL(`../fixtures/families/${name}`, import.meta.url));
const spec: LoraSpec = { rank: 3, alpha: 6, dropout: 0, targets: ['q_proj', 'v_proj', 'down_proj'] };

/** A random adapter, with random B. */
async function adapterFor(name: string, layers: readonly number[], size = 0.1): Promise<LoraAdapter> {
  const layout = loraLayout((await openModelDirectory(family(name))).config, layers, spec);
  const random = randomStream(1, name);
  return { spec, layout, values: initialLora(layout, random).map((x) => x + size * random.normal()) };
}

/** W + (α/r)·B·A, computed directly. */
function expectedWeight(
  w: Float32Array,
  { layout, values }: LoraAdapter,
  layer: number,
  projection: Projection,
): Float32Array {
  const slice = (factor: 'lora_A' | 'lora_B') =>
    layout.slices.find(({ name }) => name.startsWith(`layers.${layer}.`) && name.endsWith(`.${projection}.${factor}`))!;
  const [a, b] = [slice('lora_A'), slice('lora_B')];
  const [width, out] = [a.shape[1]!, b.shape[1]!];
  return Float32Array.from(w, (value, at) => {
    const [row, column] = [Math.floor(at / width), at % width];
    let sum = 0;
    for (let k = 0; k < spec.rank; k++)
      sum += values[b.offset + k * out + row]! * values[a.offset + k * width + column]!;
    return value + (spec.alpha / spec.rank) * sum;
  });
}

for (const [name, layers, stored] of [
  ['llama3', [0, 4], 'F32'],
  ['mistral', [3, 4], 'F16'],
] as const) {
  t.test(`${name}: adapted weights are merged in their dtype, all else is as it was`, async (t) => {
    const to = t.testdir({});
    const model = await openModelDirectory(family(name));
    const adapter = await adapterFor(name, layers);
    await writeMergedModel(model, adapter, to);
    const written = await openModelDirectory(to);
    t.same(written.config, model.config);
    t.same(
      readdirSync(to).sort(),
      readdirSync(family(name))
        .filter((file) => file !== 'expected.safetensors')
        .sort(),
      'the same shards and companions',
    );
    for (const [weight, entry] of written.weights) {
      const original = model.weights.get(weight)!;
      t.equal(entry.dtype, original.dtype);
      const layer = layers.find((layer) => weight.startsWith(`model.layers.${layer}.`));
      const projection = spec.targets.find((projection) => weight.endsWith(`.${projection}.weight`));
      const w = readTensor(original.file, original);
      const adapted = layer !== undefined && projection !== undefined;
      const expected = adapted ? expectedWeight(w, adapter, layer, projection) : w;
      const found = readFileSync(entry.file).subarray(entry.offset, entry.offset + entry.bytes);
      if (!found.equals(roundFromFloat32(stored, expected))) t.fail(weight);
      t.equal(
        found.equals(readFileSync(original.file).subarray(original.offset, original.offset + original.bytes)),
        !adapted,
        weight,
      );
    }
  });
}

t.test('a merged weight out of its dtype’s range is an error, and an abort stops the merge', async (t) => {
  const to = t.testdir({});
  const model = await openModelDirectory(family('mistral'));
  await t.rejects(writeMergedModel(model, await adapterFor('mistral', [2], 1e4), to), {
    name: 'UserError',
    message: /model\.layers\.2\.\S+\.weight with the merged adapter contains a value too large for F16/,
  });
  const stop = AbortSignal.abort(new Error('stopped'));
  await t.rejects(writeMergedModel(model, await adapterFor('mistral', [2]), to, { signal: stop }), {
    message: 'stopped',
  });
});

t.test('of a folder’s other files, those that belong to the model go along', async (t) => {
  const dir = t.testdir({ from: {}, to: {} });
  const from = join(dir, 'from');
  for (const name of readdirSync(family('llama2')))
    writeFileSync(join(from, name), readFileSync(join(family('llama2'), name)));
  const along = ['tokenizer.json', 'merges.txt', 'tokenizer.model', 'chat_template.jinja', 'LICENSE'];
  for (const name of [...along, 'pytorch_model.bin', 'other.safetensors', 'README.md'])
    writeFileSync(join(from, name), '{}');
  mkdirSync(join(from, 'onnx'));
  await writeMergedModel(await openModelDirectory(from), await adapterFor('llama2', [0]), join(dir, 'to'));
  t.same(readdirSync(join(dir, 'to')).sort(), [...along, 'config.json', 'expected.json', 'model.safetensors'].sort());
});
