import { join } from 'node:path';
import { statSync } from 'node:fs';
import t from 'tap';
import { parseManifest } from '../../crds/parse.ts';
import { writeMiniature } from '../../worker/estimate/miniature.ts';
import { withPlannedComputeWeights, withPlannedQuantized } from '../../worker/estimate/planned-quantized.ts';
import { parseDecoderConfig } from '../../worker/model/config/config.ts';
import { layerOf } from '../../worker/model/config/tensors.ts';
import { modelWithSplit } from '../../worker/model/federated-model.ts';
import { splitLayers } from '../../worker/model/split.ts';
import { embed } from '../../worker/model/weights/embedding.ts';
import type { FloatDtype } from '../../worker/safetensors/float-formats.ts';
import { shapedWeights } from '../support/shaped-weights.ts';

const { spec } = parseManifest(
  `{apiVersion: fedbiot.io/v1alpha1, kind: FedBiOTJob, metadata: {name: miniature}, spec: {model: {uri: m},
    data: {train: {uri: t}, public: {uri: p}}}}`,
  'miniature',
);

/** A model of a given shape, whose weights are nowhere. */
function modelOf(
  shape: { hidden: number; intermediate: number; layers: number; heads: number; vocabulary: number },
  { dtype, placement = 'Last' }: { dtype: FloatDtype; placement?: 'Last' | 'Both' },
) {
  const config = parseDecoderConfig(
    {
      architectures: ['LlamaForCausalLM'],
      model_type: 'llama',
      hidden_size: shape.hidden,
      intermediate_size: shape.intermediate,
      num_hidden_layers: shape.layers,
      num_attention_heads: shape.heads,
      num_key_value_heads: shape.heads,
      vocab_size: shape.vocabulary,
      hidden_act: 'silu',
    },
    'config.json',
  );
  const weights = shapedWeights(config, dtype);
  const split = splitLayers({
    layers: config.layers,
    placement,
    adapterLayers: 4,
    layerDropRate: 0.5,
    selection: 'Uniform',
  });
  return modelWithSplit({ config, weights }, split, spec);
}

t.test('a small model is its own miniature', async (t) => {
  const model = modelOf({ hidden: 64, intermediate: 96, layers: 12, heads: 4, vocabulary: 600 }, { dtype: 'BF16' });
  const { model: small, copiedWeightBytes } = await writeMiniature(t.testdir({}), model, spec, {
    parameters: 1e7,
    provider: 'cpu',
  });
  t.equal(copiedWeightBytes, Infinity, 'no graph is large');
  t.same(small.config, model.config);
  t.equal(small.split.emulator.length, model.split.emulator.length);
  t.same(small.adapter.layout.size, model.adapter.layout.size);
  t.same(
    [...small.weights.values()].map(({ dtype }) => dtype),
    [...model.weights.values()].map(({ dtype }) => dtype),
  );
});

t.test('a deeper one has fewer layers of each kind and a smaller vocabulary, in proportion', async (t) => {
  const model = modelOf(
    { hidden: 576, intermediate: 1536, layers: 36, heads: 9, vocabulary: 49152 },
    { dtype: 'F32', placement: 'Both' },
  );
  const { model: small, copiedWeightBytes } = await writeMiniature(t.testdir({}), model, spec, {
    parameters: 86e6,
    provider: 'cpu',
  });
  const layer = 4 * (4 * 576 ** 2 + 3 * 576 * 1536 + 2 * 576);
  t.equal(copiedWeightBytes, layer, 'graphs of two layers are large');
  const counts = ({ split }: typeof model) =>
    [split.front, split.teacher, split.emulator, split.dropped, split.tail].map((layers) => layers.length);
  t.same(counts(model), [4, 28, 14, 14, 4]);
  t.same(counts(small), [2, 14, 7, 7, 2]);
  t.same(
    [small.split.front, small.split.tail],
    [
      [0, 1],
      [16, 17],
    ],
  );
  t.ok(small.split.emulator.every((layer) => small.split.teacher.includes(layer)));
  t.equal(small.config.hiddenSize, 576);
  t.equal(small.config.layers, 18);
  t.ok(small.config.vocabSize > 0.4 * 49152 && small.config.vocabSize < 0.6 * 49152);
});

t.test('one with large layers is narrower, and its file occupies little', async (t) => {
  const model = modelOf(
    { hidden: 4096, intermediate: 11008, layers: 32, heads: 32, vocabulary: 32000 },
    { dtype: 'F16' },
  );
  const folder = t.testdir({});
  const { model: small, copiedWeightBytes } = await writeMiniature(folder, model, spec, {
    parameters: 50e6,
    provider: 'cpu',
  });
  t.match(small.config, { hiddenSize: 1024, intermediateSize: 2752, heads: 8, keyValueHeads: 8, headDim: 128 });
  t.same([small.split.emulator.length, small.split.dropped.length, small.split.tail.length], [2, 2, 1]);
  t.equal(copiedWeightBytes, 2 * (4 * 1024 ** 2 + 3 * 1024 * 2752 + 2 * 1024));
  const { size, blocks } = statSync(join(folder, 'weights'));
  t.ok(size > 6e7 && blocks * 512 < size / 4, `${blocks * 512} of ${size} bytes`);
  t.same(
    embed(small.weights, Int32Array.of(3)).data.slice(0, 2),
    Float32Array.of(0.0200042724609375, 0.0200042724609375),
    'states have a norm',
  );
});

t.test('an emulator in 8 bits has them in the miniature too', async (t) => {
  const shape = { hidden: 64, intermediate: 96, layers: 12, heads: 4, vocabulary: 600 };
  const model = withPlannedQuantized(modelOf(shape, { dtype: 'F32' }), 'Int8');
  const { model: small } = await writeMiniature(t.testdir({}), model, spec, { parameters: 1e7, provider: 'cuda' });
  t.equal(small.quantized!.emulator.size, model.quantized!.emulator.size);
  t.same([...new Set([...small.quantized!.emulator.keys()].map(layerOf))], small.split.emulator);
  t.equal(small.quantized!.product, 'Float32', 'a GPU multiplies by what they stand for');
  t.notOk(small.computeWeights);
});

t.test('so has a server that computes in 8 bits', async (t) => {
  const shape = { hidden: 64, intermediate: 96, layers: 12, heads: 4, vocabulary: 600 };
  const model = withPlannedComputeWeights(modelOf(shape, { dtype: 'F32' }));
  const { model: small } = await writeMiniature(t.testdir({}), model, spec, { parameters: 1e7, provider: 'cuda' });
  t.equal(new Set([...small.computeWeights!.index.keys()].map(layerOf)).size, small.config.layers);
  t.match(small.computeWeights, { product: 'Float32' });
  t.notOk(small.quantized);
});

t.test('an emulator in 4 bits has whole blocks in the miniature', async (t) => {
  const model = withPlannedQuantized(
    modelOf({ hidden: 2048, intermediate: 2112, layers: 8, heads: 32, vocabulary: 600 }, { dtype: 'F16' }),
    'Int4',
  );
  const { model: small } = await writeMiniature(t.testdir({}), model, spec, { parameters: 1e6, provider: 'cpu' });
  t.equal(small.config.intermediateSize, 2112, 'half of it would have half a block');
  t.same([...new Set([...small.quantized!.emulator.values()].map(({ format }) => format))], ['Int4']);
});
