import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { LoraSpec } from '../../crds/types.ts';
import { openModelDirectory } from '../../worker/model/directory.ts';
import { initialLora, loraLayout } from '../../worker/model/lora/layout.ts';
import { exportPeft, importPeft, openPeft } from '../../worker/model/lora/peft.ts';
import {
  float32Tensor,
  readSafetensorsHeader,
  readTensor,
  writeSafetensors,
} from '../../worker/safetensors/safetensors.ts';
import type { TensorData } from '../../worker/safetensors/safetensors.ts';
import { randomStream } from '../../worker/random.ts';

const FIXTURES = fileURLToPath(new URL('../fixtures/', import.meta.url));
// Random weights saved by Python's PEFT: test/oracle/peft_load.py write.
const PEFT = join(FIXTURES, 'peft');
const spec: LoraSpec = { rank: 3, alpha: 6, dropout: 0, targets: ['down_proj', 'o_proj', 'q_proj', 'v_proj'] };
const { config } = await openModelDirectory(join(FIXTURES, 'families/llama2'));
const layout = loraLayout(config, [2, 3], spec);

/** A layout's slice of a flat vector, as rows. */
function slice(values: Float32Array, name: string): number[][] {
  const { shape, offset } = layout.slices.find((slice) => slice.name === name)!;
  const [rows = 0, columns = 0] = shape;
  return Array.from({ length: rows }, (_, r) => [...values.subarray(offset + r * columns, offset + (r + 1) * columns)]);
}

t.test('an adapter saved by PEFT is read to its place, B transposed', async (t) => {
  const values = importPeft(PEFT, { spec, layout });
  const path = join(PEFT, 'adapter_model.safetensors');
  const { tensors } = readSafetensorsHeader(path);
  const stored = (name: string) => readTensor(path, tensors.get(`base_model.model.model.${name}.weight`)!);
  t.same(slice(values, 'layers.3.self_attn.v_proj.lora_A').flat(), [...stored('layers.3.self_attn.v_proj.lora_A')]);
  const b = stored('layers.2.mlp.down_proj.lora_B');
  const ours = slice(values, 'layers.2.mlp.down_proj.lora_B');
  t.equal(b.length, config.hiddenSize * 3);
  for (let out = 0; out < config.hiddenSize; out++)
    for (let r = 0; r < 3; r++) if (ours[r]![out] !== b[out * 3 + r]) t.fail(`B[${out}][${r}]`);
});

t.test('exported again, it has the bytes PEFT wrote', async (t) => {
  const values = importPeft(PEFT, { spec, layout });
  const dir = join(t.testdir({}), 'adapter');
  exportPeft(dir, { spec, layout, values }, 'test/fixtures/families/llama2');
  t.ok(
    readFileSync(join(dir, 'adapter_model.safetensors')).equals(readFileSync(join(PEFT, 'adapter_model.safetensors'))),
  );
  const theirs = JSON.parse(readFileSync(join(PEFT, 'adapter_config.json'), 'utf8'));
  const ours = JSON.parse(readFileSync(join(dir, 'adapter_config.json'), 'utf8'));
  for (const key of Object.keys(ours)) t.same(ours[key], theirs[key], key);
});

t.test('an exported vector is imported again to the bit', async (t) => {
  const values = initialLora(layout, randomStream(1, 'test')).map((x, i) => x + i);
  const dir = t.testdir({});
  exportPeft(dir, { spec, layout, values }, 'm');
  t.same(importPeft(dir, { spec, layout }), values);
});

t.test('an adapter that is not the job’s is refused, saying what differs', async (t) => {
  const configs: [object, RegExp][] = [
    [{ peft_type: 'IA3' }, /peft_type "IA3" is not supported/],
    [{ r: 4 }, /rank r is 4, the job's adapter\.lora\.rank 3/],
    [{ lora_alpha: 32 }, /lora_alpha is 32, the job's adapter\.lora\.alpha 6/],
    [
      { target_modules: ['q_proj'] },
      /target_modules are q_proj, the job's adapter\.lora\.targets down_proj, o_proj, q_proj, v_proj/,
    ],
    [{ use_dora: true }, /use_dora true is not supported/],
    [{ use_rslora: true }, /use_rslora true/],
    [{ lora_bias: true }, /lora_bias true/],
    [{ bias: 'all' }, /bias "all"/],
    [{ init_lora_weights: 'pissa' }, /init_lora_weights "pissa"/],
    [{ rank_pattern: { q_proj: 8 } }, /rank_pattern {"q_proj":8}/],
    [{ r: 3.5 }, /r is 3\.5, not a positive integer, at most 1024/],
    [{ r: 1e9 }, /r is 1000000000, not a positive integer/],
    [{ lora_alpha: '6' }, /lora_alpha is "6", not a positive number/],
    [{ lora_dropout: 1 }, /lora_dropout is 1, not a number from 0 to 1/],
    [{ magic: 7 }, /adapter_config\.json: the field magic \(7\) is not known/],
    [{ alora_invocation_tokens: [1, 2] }, /alora_invocation_tokens \[1,2\] is not supported/],
    [{ use_bdlora: { nblocks: 2 } }, /use_bdlora \{"nblocks":2\} is not supported/],
    [{ loftq_config: { loftq_bits: 4 } }, /loftq_config .* is not supported/],
    [{ target_modules: ['q_proj', 7] }, /target_modules \["q_proj",7\] is neither a list of names/],
    [{ exclude_modules: '.*q_proj' }, /exclude_modules "\.\*q_proj" is not supported/],
    [
      { exclude_modules: ['self_attn.q_proj'] },
      /layers\.2\.self_attn\.q_proj\.lora_A\.weight, a module that adapter_config\.json does not adapt/,
    ],
    [{ layers_to_transform: [2] }, /layers\.3\..*, a module that adapter_config\.json does not adapt/],
    [{ layers_to_transform: ['2'] }, /layers_to_transform \["2"\] is neither a layer/],
    [{ modules_to_save: ['lm_head'] }, /modules_to_save \["lm_head"\]/],
  ];
  for (const [change, message] of configs) {
    const dir = t.testdir({});
    cpSync(PEFT, dir, { recursive: true });
    const original = JSON.parse(readFileSync(join(dir, 'adapter_config.json'), 'utf8'));
    writeFileSync(join(dir, 'adapter_config.json'), JSON.stringify({ ...original, ...change }));
    t.throws(() => importPeft(dir, { spec, layout }), { name: 'UserError', message });
  }

  const values = importPeft(PEFT, { spec, layout });
  // prettier-ignore
  const files: [string, (tensors: TensorData[]) => TensorData[], RegExp][] = [
    ['missing', (tensors) => tensors.slice(1), /base_model\.model\.model\.layers\.2\.mlp\.down_proj\.lora_A\.weight is missing/],
    ['extra', (tensors) => [...tensors, float32Tensor('base_model.model.lm_head.lora_A.weight', [1], Float32Array.of(1))], /lm_head\.lora_A\.weight" belongs to no layer/],
    ['shape', ([first, ...rest]) => [{ ...first!, shape: first!.shape.toReversed() }, ...rest], /lora_A\.weight has shape \[\d+,3\], not \[3, \d+\]/],
    ['NaN', ([first, ...rest]) => [{ ...first!, data: Buffer.concat([first!.data.slice(4), Buffer.from([0, 0, 0xc0, 0x7f])]) }, ...rest], /lora_A\.weight is NaN or infinite at element \d+/],
  ];
  for (const [name, change, message] of files) {
    const dir = t.testdir({});
    exportPeft(dir, { spec, layout, values }, 'm');
    const path = join(dir, 'adapter_model.safetensors');
    const bytes = readFileSync(path);
    // prettier-ignore
    const tensors = [...readSafetensorsHeader(path).tensors].map(([name, entry]) => ({
      name, dtype: entry.dtype, shape: entry.shape, data: bytes.subarray(entry.offset, entry.offset + entry.bytes),
    }));
    writeSafetensors(path, change(tensors));
    t.throws(() => importPeft(dir, { spec, layout }), { name: 'UserError', message }, name);
  }
  const other = { spec, layout: loraLayout(config, [1, 2], spec) };
  t.throws(() => importPeft(PEFT, other), {
    message: /layers\.1\..* is missing\n[^]*layers\.3\..* belongs to no layer/,
  });

  const dir = t.testdir({});
  t.throws(() => importPeft(dir, { spec, layout }), { name: 'UserError', message: /adapter_config\.json is missing/ });
  cpSync(PEFT, dir, { recursive: true });
  rmSync(join(dir, 'adapter_model.safetensors'));
  t.throws(() => importPeft(dir, { spec, layout }), {
    name: 'UserError',
    message: /adapter_model\.safetensors is missing/,
  });
  writeFileSync(join(dir, 'adapter_config.json'), '[]');
  t.throws(() => importPeft(dir, { spec, layout }), { name: 'UserError', message: /does not hold a JSON object/ });
});

t.test('target_modules may be a pattern or full names', async (t) => {
  const fullNames = layout.slices.map(({ name }) => `model.${name.replace(/\.lora_[AB]$/, '')}`);
  for (const targets of [
    'all-linear',
    fullNames,
    spec.targets.map((target) => (target === 'down_proj' ? `mlp.${target}` : `self_attn.${target}`)),
  ]) {
    const dir = t.testdir({});
    cpSync(PEFT, dir, { recursive: true });
    const original = JSON.parse(readFileSync(join(dir, 'adapter_config.json'), 'utf8'));
    writeFileSync(join(dir, 'adapter_config.json'), JSON.stringify({ ...original, target_modules: targets }));
    t.same(importPeft(dir, { spec, layout }), importPeft(PEFT, { spec, layout }));
  }
});

t.test('opened for a model, an adapter says itself what it is', async (t) => {
  const opened = openPeft(PEFT, config);
  t.same({ ...opened.spec, targets: [...opened.spec.targets].sort() }, spec);
  t.same(opened.layout, layout);
  t.same(opened.values, importPeft(PEFT, { spec, layout }));

  const dir = t.testdir({});
  const both = loraLayout(config, [0, 5], spec);
  const values = initialLora(both, randomStream(2, 'test'));
  exportPeft(dir, { spec, layout: both, values }, 'hf://org/name@v1');
  t.same(openPeft(dir, config).layout, both, 'layers at both ends');
  t.same(openPeft(dir, config).values, values);
  t.match(JSON.parse(readFileSync(join(dir, 'adapter_config.json'), 'utf8')), {
    base_model_name_or_path: 'org/name',
    revision: 'v1',
  });
});

t.test('an adapter of another model, or of something else than projections, is refused', async (t) => {
  const mistral = (await openModelDirectory(join(FIXTURES, 'families/mistral'))).config;
  t.throws(() => openPeft(PEFT, mistral), {
    name: 'UserError',
    message: /does not fit the model:\n.* has shape \[\d+,\d+\], not/,
    hint: /the model it was trained on/,
  });
  t.throws(() => openPeft(PEFT, { ...config, layers: 3 }), {
    message: /adapts layer 3, but the model has only 3 layers/,
  });

  const written = (tensors: readonly TensorData[], change: object = {}) => {
    const dir = t.testdir({});
    const original = JSON.parse(readFileSync(join(PEFT, 'adapter_config.json'), 'utf8'));
    writeFileSync(join(dir, 'adapter_config.json'), JSON.stringify({ ...original, ...change }));
    writeSafetensors(join(dir, 'adapter_model.safetensors'), tensors);
    return dir;
  };
  const tensor = (name: string) => float32Tensor(name, [1], Float32Array.of(1));
  for (const name of [
    'base_model.model.lm_head.lora_A.weight',
    'base_model.model.model.layers.0.mlp.q_proj.lora_A.weight',
    'x',
  ]) {
    t.throws(() => openPeft(written([tensor(name)]), config), {
      message: new RegExp(`"${name}" is not the low-rank weight of a projection`),
    });
  }
  t.throws(() => openPeft(written([]), config), { message: /holds no tensor/ });
  const one = [tensor('base_model.model.model.layers.0.mlp.up_proj.lora_A.weight')];
  for (const r of [0, '8', null])
    t.throws(() => openPeft(written(one, { r }), config), { message: /: r is .*, not a positive integer/ });
  t.throws(() => openPeft(written(one, { peft_type: 'IA3' }), config), { message: /peft_type "IA3"/ });
});
