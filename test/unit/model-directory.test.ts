// Model directories: which can be opened, what their hash covers, and which are refused.
import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import t from 'tap';
import { openModelDirectory } from '../../worker/model/directory.ts';
import { float32Tensor, readTensor } from '../../worker/safetensors/safetensors.ts';
import { decoderTensors } from '../../worker/model/config/tensors.ts';
import { FAMILIES, copyTo, rewrite } from '../support/copied-family.ts';

for (const family of ['llama2', 'llama3', 'mistral', 'qwen2', 'smollm2']) {
  t.test(`${family} opens: every weight is found, with its shape and finite values`, async (t) => {
    const { path, config, weights, sha256 } = await openModelDirectory(join(FAMILIES, family));
    t.equal(path, join(FAMILIES, family));
    t.same(
      [...weights.keys()],
      decoderTensors(config).map(({ name }) => name),
    );
    for (const [name, entry] of weights) {
      const values = readTensor(entry.file, entry);
      t.equal(
        values.length,
        entry.shape.reduce((a, b) => a * b, 1),
        name,
      );
    }
    t.match(await sha256(), /^[0-9a-f]{64}$/);
  });
}

t.test('a path, a file: URL and a cache of symbolic links open the same model, with the same hash', async (t) => {
  const plain = await openModelDirectory(join(FAMILIES, 'llama2'));
  const url = await openModelDirectory(pathToFileURL(join(FAMILIES, 'llama2')).href);
  const dir = t.testdir({ blobs: {}, snapshot: {} });
  for (const [name, blob] of [
    ['config.json', 'b0'],
    ['model.safetensors', 'b1'],
  ] as const) {
    copyFileSync(join(FAMILIES, 'llama2', name), join(dir, 'blobs', blob));
    symlinkSync(join('..', 'blobs', blob), join(dir, 'snapshot', name));
  }
  const linked = await openModelDirectory(join(dir, 'snapshot'));
  t.equal(linked.weights.get('model.norm.weight')?.file, join(dir, 'blobs', 'b1'));
  t.equal(await url.sha256(), await plain.sha256());
  t.equal(await linked.sha256(), await plain.sha256());
});

t.test('the hash changes with the config, the tokenizer and the weights', async (t) => {
  const dir = copyTo(t.testdir({}), 'llama2');
  const { sha256 } = await openModelDirectory(dir);
  const hashes = [await sha256()];
  writeFileSync(join(dir, 'tokenizer.json'), '{}');
  hashes.push(await (await openModelDirectory(dir)).sha256());
  writeFileSync(join(dir, 'config.json'), `${readFileSync(join(dir, 'config.json'), 'utf8')}\n`);
  hashes.push(await (await openModelDirectory(dir)).sha256());
  rewrite(dir, ([first, ...rest]) => {
    first!.data[0]! ^= 1;
    return [first!, ...rest];
  });
  hashes.push(await (await openModelDirectory(dir)).sha256());
  t.equal(new Set(hashes).size, 4);
});

t.test('a config or a tokenizer that changes after the model was opened is noticed', async (t) => {
  for (const name of ['config.json', 'tokenizer.json']) {
    const dir = copyTo(t.testdir({}), 'llama2');
    writeFileSync(join(dir, 'tokenizer.json'), '{}');
    const model = await openModelDirectory(dir);
    await model.sha256();
    appendFileSync(join(dir, name), '\n');
    const told = { name: 'UserError', message: `${join(dir, name)} was changed while it was used` };
    await t.rejects(model.sha256(), told, 'its hash would be that of another model');
    t.throws(() => model.checkUnchanged(), told);
  }
});

t.test('weights that do not fit the config are all listed', async (t) => {
  const dir = copyTo(t.testdir({}), 'llama2');
  rewrite(dir, (tensors) =>
    tensors
      .filter(({ name }) => name !== 'model.norm.weight')
      .map((tensor) => {
        if (tensor.name === 'model.layers.0.mlp.up_proj.weight') return { ...tensor, shape: [...tensor.shape, 1] };
        return tensor.name === 'lm_head.weight' ? { ...tensor, dtype: tensor.dtype === 'F32' ? 'I32' : 'I16' } : tensor;
      }),
  );
  await t.rejects(openModelDirectory(dir), {
    name: 'UserError',
    message:
      /config\.json:\n {2}model\.layers\.0\.mlp\.up_proj\.weight has shape \[.*,1\], not \[.*\]\n {2}model\.norm\.weight \[\d+\] is missing from model\.safetensors\n {2}lm_head\.weight is I(16|32), not F32, BF16 or F16$/,
  });
});

t.test('the errors for a config of another model are cut to a readable number', async (t) => {
  const dir = copyTo(t.testdir({}), 'llama2');
  const config = JSON.parse(readFileSync(join(dir, 'config.json'), 'utf8'));
  writeFileSync(join(dir, 'config.json'), JSON.stringify({ ...config, num_hidden_layers: 100 }));
  await t.rejects(openModelDirectory(dir), { name: 'UserError', message: /… and \d{3} more$/ });
});

t.test('tensors that no graph reads are reported; buffers that follow from the config are not', async (t) => {
  const dir = copyTo(t.testdir({}), 'llama2');
  const more = ['model.layers.0.self_attn.q_norm.weight', 'model.layers.0.self_attn.rotary_emb.inv_freq'];
  rewrite(dir, (tensors) => [...tensors, ...more.map((name) => float32Tensor(name, [1], new Float32Array(1)))]);
  t.match((await openModelDirectory(dir)).warnings, [
    /contains 1 unused tensors that a llama model .*: "model\.layers\.0\.self_attn\.q_norm\.weight"$/,
  ]);
});

t.test('NaN and infinity are found where they are', async (t) => {
  const cases: ['llama2' | 'mistral' | 'qwen2', string][] = [
    ['llama2', 'model.layers.1.mlp.down_proj.weight'],
    ['mistral', 'model.norm.weight'],
    ['qwen2', 'model.layers.0.self_attn.k_proj.bias'],
  ];
  for (const [family, name] of cases) {
    const dir = copyTo(t.testdir({}), family);
    const { weights } = await openModelDirectory(dir);
    const { shape, dtype } = weights.get(name)!;
    const last = shape.reduce((a, b) => a * b, 1) - 1;
    rewrite(dir, (tensors) => {
      const { data } = tensors.find((tensor) => tensor.name === name)!;
      // All exponent bits set: an infinity in each of the formats.
      const [low, high] = { F32: [0x80, 0x7f], BF16: [0x80, 0x7f], F16: [0x00, 0x7c] }[dtype];
      data.set([low!, high!], data.byteLength - 2);
      return tensors;
    });
    const reopened = await openModelDirectory(dir);
    const at = shape.map((size) => size - 1).join(', ');
    await t.rejects(
      reopened.sha256(),
      { name: 'UserError', message: `weight ${name} in ` },
      `${family} ${dtype} ${last}`,
    );
    await t.rejects(reopened.sha256(), { message: `is NaN or infinite at [${at}]` });
  }
});

t.test('a model that another program changes is not used', async (t) => {
  const dir = copyTo(t.testdir({}), 'llama3');
  const model = await openModelDirectory(dir);
  model.checkUnchanged();
  const shard = join(dir, 'model-00002-of-00004.safetensors');
  copyFileSync(shard, join(dir, 'copy'));
  renameSync(join(dir, 'copy'), shard);
  t.throws(() => model.checkUnchanged(), {
    name: 'UserError',
    message: `${shard} was changed while it was used`,
    hint: /no program writes/,
  });
  await t.rejects(model.sha256(), { name: 'UserError', message: `${shard} was changed while it was read` });
  rmSync(shard);
  t.throws(() => model.checkUnchanged(), { message: `${shard} was changed while it was used` });
});

t.test('directories that are not a model are refused with a reason', async (t) => {
  const index = (weightMap: unknown) => (dir: string) =>
    writeFileSync(join(dir, 'model.safetensors.index.json'), JSON.stringify({ weight_map: weightMap }));
  // prettier-ignore
  const cases: [string, string, (dir: string) => void, RegExp][] = [
    ['no config', 'llama2', (dir) => rmSync(join(dir, 'config.json')), /config\.json is missing/],
    ['a config that is not JSON', 'llama2', (dir) => writeFileSync(join(dir, 'config.json'), '{'), /config\.json is not JSON: /],
    ['no weights', 'llama2', (dir) => rmSync(join(dir, 'model.safetensors')), /has neither model\.safetensors nor/],
    ['an index that is not JSON', 'llama3', (dir) => writeFileSync(join(dir, 'model.safetensors.index.json'), '{'), /index\.json is not JSON: /],
    ['an index without a map', 'llama3', index(undefined), /has no weight_map/],
    ['a shard outside', 'llama3', index({ 'model.norm.weight': '../model.safetensors' }), /maps model\.norm\.weight to "\.\.\/model\.safetensors"/],
    ['an absolute shard', 'llama3', index({ x: '/etc/passwd' }), /maps x to "\/etc\/passwd"/],
    ['the folder above as a shard', 'llama3', index({ x: '..' }), /maps x to "\.\."/],
    ['a shard with a name without end', 'llama3', index({ x: 'x'.repeat(20_000) }), /maps x to "x{119}…, which is not/],
    ['a shard that is a number', 'llama3', index({ x: 1 }), /maps x to 1/],
    ['a missing shard', 'llama3', (dir) => rmSync(join(dir, 'model-00002-of-00004.safetensors')), /model-00002-of-00004\.safetensors is missing/],
    ['a truncated shard', 'llama3', (dir) => truncate(join(dir, 'model-00002-of-00004.safetensors')), /model-00002-of-00004\.safetensors is not a usable/],
    ['an index that omits a weight', 'llama3', index({}), /model\.embed_tokens\.weight \[96, 32\] is missing\n/],
  ];
  for (const [name, family, damage, message] of cases) {
    const dir = copyTo(t.testdir({}), family);
    damage(dir);
    await t.rejects(openModelDirectory(dir), { name: 'UserError', message }, name);
  }
  const dir = copyTo(t.testdir({}), 'llama2');
  rmSync(join(dir, 'model.safetensors'));
  writeFileSync(join(dir, 'pytorch_model.bin'), '');
  t.match(await openModelDirectory(dir).catch((error: unknown) => error), { name: 'UserError', hint: /pickle/ });
  await t.rejects(openModelDirectory(join(dir, 'config.json')), { name: 'UserError', message: /is not a directory/ });
  await t.rejects(openModelDirectory(join(dir, 'none')), { name: 'UserError', message: /is not a directory/ });
  await t.rejects(openModelDirectory('s3://bucket/model'), { name: 'UserError', message: /s3:\/\/ is not supported/ });
  mkdirSync(join(dir, 'model.safetensors'));
  await t.rejects(openModelDirectory(dir), {
    name: 'UserError',
    message: /model\.safetensors is a folder, not a file/,
  });
});

function truncate(path: string): void {
  writeFileSync(path, readFileSync(path).subarray(0, -1));
}
