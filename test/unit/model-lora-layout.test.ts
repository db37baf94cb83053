import t from 'tap';
import type { DecoderConfig } from '../../worker/model/config/config.ts';
import { initialLora, loraLayout } from '../../worker/model/lora/layout.ts';
import { randomStream } from '../../worker/random.ts';

const config: DecoderConfig = {
  family: 'llama',
  layers: 12,
  hiddenSize: 6,
  intermediateSize: 10,
  heads: 4,
  keyValueHeads: 2,
  headDim: 2,
  vocabSize: 16,
  rmsNormEpsilon: 1e-5,
  rope: { theta: 1e4, scaling: null },
  tiedEmbeddings: true,
  attentionBias: false,
  outputBias: false,
  mlpBias: false,
  slidingWindow: null,
  maxPositions: 64,
  storedDtype: 'float32',
};

t.test('all projections: group by group, all A before all B, B as [rank, out]', async (t) => {
  const targets = ['down_proj', 'up_proj', 'gate_proj', 'o_proj', 'v_proj', 'k_proj', 'q_proj'] as const;
  const layout = loraLayout(config, [10, 3], { rank: 2, targets: [...targets] });
  t.same(
    layout.slices
      .filter(({ name }) => name.startsWith('layers.10.'))
      .map(({ name, shape }) => [name.slice('layers.10.'.length), ...shape]),
    [
      ['self_attn.q_proj.lora_A', 2, 6],
      ['self_attn.k_proj.lora_A', 2, 6],
      ['self_attn.v_proj.lora_A', 2, 6],
      ['self_attn.q_proj.lora_B', 2, 8],
      ['self_attn.k_proj.lora_B', 2, 4],
      ['self_attn.v_proj.lora_B', 2, 4],
      ['self_attn.o_proj.lora_A', 2, 8],
      ['self_attn.o_proj.lora_B', 2, 6],
      ['mlp.gate_proj.lora_A', 2, 6],
      ['mlp.up_proj.lora_A', 2, 6],
      ['mlp.gate_proj.lora_B', 2, 10],
      ['mlp.up_proj.lora_B', 2, 10],
      ['mlp.down_proj.lora_A', 2, 10],
      ['mlp.down_proj.lora_B', 2, 6],
    ],
  );
  const layers = [...new Set(layout.slices.map(({ name }) => name.split('.')[1]))];
  t.same(layers, ['10', '3'], 'layers in the order given, by their index in the full model');
  let offset = 0;
  for (const slice of layout.slices) {
    t.equal(slice.offset, offset, slice.name);
    offset += slice.size;
  }
  t.equal(layout.size, offset);
});

t.test('targets restrict the groups, whatever their order', async (t) => {
  const names = (targets: Parameters<typeof loraLayout>[2]['targets']) =>
    loraLayout(config, [0], { rank: 1, targets }).slices.map(({ name }) => name);
  t.same(names(['v_proj', 'q_proj']), names(['q_proj', 'v_proj']));
  t.same(names(['up_proj', 'v_proj']), [
    'layers.0.self_attn.v_proj.lora_A',
    'layers.0.self_attn.v_proj.lora_B',
    'layers.0.mlp.up_proj.lora_A',
    'layers.0.mlp.up_proj.lora_B',
  ]);
});

t.test('the start is PEFT’s: B zero, A uniform in ±1/√in, reproducible', async (t) => {
  const wide = { ...config, hiddenSize: 400, intermediateSize: 100 };
  const layout = loraLayout(wide, [0, 1], { rank: 8, targets: ['gate_proj', 'down_proj'] });
  const values = initialLora(layout, randomStream(7, 'adapter'));
  const again = (seed: number) => Buffer.from(initialLora(layout, randomStream(seed, 'adapter')).buffer);
  t.ok(again(7).equals(Buffer.from(values.buffer)), 'the same seed gives the same bytes');
  t.notOk(again(8).equals(Buffer.from(values.buffer)), 'another seed gives others');
  for (const { name, shape, offset, size } of layout.slices) {
    const slice = values.subarray(offset, offset + size);
    if (name.endsWith('lora_B')) {
      t.ok(
        slice.every((x) => x === 0),
        name,
      );
      continue;
    }
    // Kaiming uniform with a = √5: bound √(6 / (1 + 5) / in); a uniform's variance is bound² / 3.
    const bound = 1 / Math.sqrt(shape[1]!);
    t.ok(
      slice.every((x) => Math.abs(x) <= bound),
      `${name} within ±${bound}`,
    );
    const variance = slice.reduce((sum, x) => sum + x * x, 0) / size;
    t.ok(Math.abs(variance / (bound ** 2 / 3) - 1) < 0.15, `${name}: variance ${variance}`);
    t.ok(Math.abs(slice.reduce((sum, x) => sum + x, 0) / size) < bound * 0.1, `${name}: centred`);
  }
});
