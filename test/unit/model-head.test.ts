// Heads that are tied to the embedding, and heads stored beside one.
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { LoraSpec } from '../../crds/types.ts';
import { openModelDirectory } from '../../worker/model/directory.ts';
import { initialLora, loraLayout } from '../../worker/model/lora/layout.ts';
import { writeMergedModel } from '../../worker/model/merge.ts';
import { readSafetensorsHeader } from '../../worker/safetensors/safetensors.ts';
import type { TensorData } from '../../worker/safetensors/safetensors.ts';
import { randomStream } from '../../worker/random.ts';
import { FAMILIES, copyTo, rewrite } from '../support/copied-family.ts';

t.test('tied models have no head, Qwen2 has biases on q, k and v, shards are found', async (t) => {
  const names = async (family: string) => [...(await openModelDirectory(join(FAMILIES, family))).weights.keys()];
  t.notOk((await names('smollm2')).includes('lm_head.weight'));
  t.ok((await names('llama2')).includes('lm_head.weight'));
  t.same(
    (await names('qwen2')).filter((name) => name.startsWith('model.layers.1.') && name.endsWith('bias')),
    [
      'model.layers.1.self_attn.q_proj.bias',
      'model.layers.1.self_attn.k_proj.bias',
      'model.layers.1.self_attn.v_proj.bias',
    ],
  );
  const files = new Set(
    [...(await openModelDirectory(join(FAMILIES, 'llama3'))).weights.values()].map(({ file }) => file),
  );
  t.equal(files.size, 4);
});

/** The embedding as a head: with its last value changed, in another dtype, or unchanged. */
function withHead(dir: string, change: (head: TensorData) => TensorData): void {
  rewrite(dir, (tensors) => {
    const embedding = tensors.find(({ name }) => name === 'model.embed_tokens.weight')!;
    return [...tensors, change({ ...embedding, name: 'lm_head.weight', data: Buffer.from(embedding.data) })];
  });
}

function changed(head: TensorData): TensorData {
  head.data[head.data.byteLength - 1]! ^= 1;
  return head;
}

t.test(
  'a head stored although it should be tied to the embedding is used where it differs, with a warning',
  async (t) => {
    const dir = copyTo(t.testdir({}), 'smollm2');
    const tied = await openModelDirectory(dir);
    t.ok(tied.config.tiedEmbeddings);
    t.same(tied.warnings, []);
    withHead(dir, (head) => head);
    const twice = await openModelDirectory(dir);
    t.same(
      [twice.config, [...twice.weights.keys()]],
      [tied.config, [...tied.weights.keys()]],
      'stored twice, it is one',
    );
    t.same(twice.warnings, []);

    const other = copyTo(t.testdir({}), 'smollm2');
    withHead(other, changed);
    const untied = await openModelDirectory(other);
    t.notOk(untied.config.tiedEmbeddings);
    t.equal(untied.weights.get('lm_head.weight')?.dtype, tied.weights.get('model.embed_tokens.weight')?.dtype);
    t.match(untied.warnings, [
      /config\.json ties the head to the embedding, but the weights contain a different lm_head\.weight, which is used/,
    ]);

    const misshapen = copyTo(t.testdir({}), 'smollm2');
    withHead(misshapen, (head) => ({ ...head, shape: head.shape.toReversed() }));
    await t.rejects(openModelDirectory(misshapen), { name: 'UserError', message: /lm_head\.weight has shape/ });
  },
);

t.test('of a tied table that is stored as the head alone, the head is the embedding, as in transformers', async (t) => {
  const dir = copyTo(t.testdir({}), 'smollm2');
  const usual = await openModelDirectory(dir);
  rewrite(dir, (tensors) =>
    tensors.map((tensor) =>
      tensor.name === 'model.embed_tokens.weight' ? { ...tensor, name: 'lm_head.weight' } : tensor,
    ),
  );
  const swapped = await openModelDirectory(dir);
  t.same(
    [swapped.config, [...swapped.weights.keys()], swapped.warnings],
    [usual.config, [...usual.weights.keys()], []],
  );
  t.equal(
    swapped.weights.get('model.embed_tokens.weight')?.offset,
    readSafetensorsHeader(join(dir, 'model.safetensors')).tensors.get('lm_head.weight')?.offset,
  );

  rewrite(dir, (tensors) => tensors.filter(({ name }) => name !== 'lm_head.weight'));
  await t.rejects(openModelDirectory(dir), {
    name: 'UserError',
    message: /model\.embed_tokens\.weight \[.*\] is missing/,
  });
  const untied = copyTo(t.testdir({}), 'llama2');
  rewrite(untied, (tensors) => tensors.filter(({ name }) => name !== 'model.embed_tokens.weight'));
  await t.rejects(openModelDirectory(untied), {
    name: 'UserError',
    message: /model\.embed_tokens\.weight \[.*\] is missing/,
  });
});

t.test('merged, a model whose head is not tied says so in its config.json', async (t) => {
  const dir = copyTo(t.testdir({}), 'smollm2');
  withHead(dir, changed);
  const model = await openModelDirectory(dir);
  const spec: LoraSpec = { rank: 2, alpha: 4, dropout: 0, targets: ['q_proj'] };
  const layout = loraLayout(model.config, [0], spec);
  const to = join(dir, 'merged');
  mkdirSync(to);
  await writeMergedModel(model, { spec, layout, values: initialLora(layout, randomStream(1, 'merged')) }, to);
  t.equal(JSON.parse(readFileSync(join(to, 'config.json'), 'utf8')).tie_word_embeddings, false);
  const merged = await openModelDirectory(to);
  t.same([merged.config, merged.warnings], [model.config, []]);
});
