import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { withDtype } from '../../worker/model/convert.ts';
import { openModelDirectory } from '../../worker/model/directory.ts';
import { roundFromFloat32 } from '../../worker/safetensors/float-rounding.ts';
import { readTensor } from '../../worker/safetensors/safetensors.ts';

const family = (name: string) => fileURLToPath(new URL(`../fixtures/families/${name}`, import.meta.url));

t.test('weights are rounded once into the cache, and found there again', async (t) => {
  const cache = join(t.testdir({}), 'cache');
  mkdirSync(cache);
  const model = await openModelDirectory(family('llama3'));
  for (const [dtype, stored] of [
    ['bfloat16', 'BF16'],
    ['float16', 'F16'],
  ] as const) {
    const held = await withDtype(model, dtype, cache);
    t.same([...held.weights.keys()], [...model.weights.keys()]);
    for (const [name, entry] of held.weights) {
      const original = model.weights.get(name)!;
      t.equal(entry.dtype, stored);
      const expected = roundFromFloat32(stored, readTensor(original.file, original));
      const found = readFileSync(entry.file).subarray(entry.offset, entry.offset + entry.bytes);
      if (!found.equals(expected)) t.fail(name);
    }
    t.equal(await held.sha256(), await model.sha256(), 'it is still the same model');
    const { file } = held.weights.get('model.norm.weight')!;
    const { mtimeNs } = statSync(file, { bigint: true });
    await withDtype(model, dtype, cache);
    t.equal(statSync(file, { bigint: true }).mtimeNs, mtimeNs, 'the second time, nothing is written');
    t.same(readdirSync(dirname(file)), ['model.safetensors']);
  }
  t.equal(readdirSync(cache).length, 2, 'a folder for each dtype');
});

t.test('nothing is written if nothing must be rounded', async (t) => {
  const cache = t.testdir({});
  const single = await openModelDirectory(family('llama2'));
  const half = await openModelDirectory(family('mistral'));
  t.equal(await withDtype(single, 'auto', cache), single);
  t.equal(await withDtype(single, 'float32', cache), single);
  t.equal(await withDtype(half, 'float32', cache), half);
  t.equal(await withDtype(half, 'float16', cache), half);
  t.same(readdirSync(cache), []);
  t.equal(
    (await withDtype(half, 'bfloat16', cache)).weights.get('model.norm.weight')!.dtype,
    'BF16',
    'from one half to the other',
  );
});

t.test('a model that changes while it is converted is not kept', async (t) => {
  const dir = t.testdir({ cache: {}, model: {} });
  cpSync(family('llama2'), join(dir, 'model'), { recursive: true });
  const model = await openModelDirectory(join(dir, 'model'));
  await model.sha256();
  const { file } = model.weights.get('model.norm.weight')!;
  const content = readFileSync(file);
  writeFileSync(file, content.fill(0, content.byteLength - 400));
  await t.rejects(withDtype(model, 'bfloat16', join(dir, 'cache')), {
    name: 'UserError',
    message: /model\.safetensors was changed while it was used$/,
  });
  const [folder = ''] = readdirSync(join(dir, 'cache'));
  t.same(readdirSync(join(dir, 'cache', folder)), []);
});

t.test('a weight too large for float16 is named', async (t) => {
  const dir = t.testdir({ cache: {}, model: {} });
  cpSync(family('llama2'), join(dir, 'model'), { recursive: true });
  const { weights } = await openModelDirectory(join(dir, 'model'));
  const name = 'model.layers.1.mlp.up_proj.weight';
  const { file, offset } = weights.get(name)!;
  const bytes = readFileSync(file);
  bytes.writeFloatLE(70_000, offset + 40);
  writeFileSync(file, bytes);
  const model = await openModelDirectory(join(dir, 'model'));
  await t.rejects(withDtype(model, 'float16', join(dir, 'cache')), {
    name: 'UserError',
    message: new RegExp(`${name} in .* holds 70000, too large for F16`),
    hint: /bfloat16/,
  });
  const [folder = ''] = readdirSync(join(dir, 'cache'));
  t.same(readdirSync(join(dir, 'cache', folder)), [], 'no unfinished file is left, nor taken for a whole one');
  const converted = await withDtype(model, 'bfloat16', join(dir, 'cache'));
  t.equal(converted.weights.get(name)?.dtype, 'BF16', 'bfloat16 has the range for it');
});
