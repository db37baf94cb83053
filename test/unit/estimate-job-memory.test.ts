// Memory of a model whose layers run one at a time: it depends on one layer, and not on the number of layers.
import t from 'tap';
import { parseManifest } from '../../crds/parse.ts';
import { jobMemory } from '../../worker/estimate/job-memory.ts';
import { SWEPT_STATES } from '../../worker/inference/layer-sweep.ts';
import { parseDecoderConfig } from '../../worker/model/config/config.ts';
import { modelWithSplit } from '../../worker/model/federated-model.ts';
import { splitLayers } from '../../worker/model/split.ts';
import { shapedWeights } from '../support/shaped-weights.ts';

const GIB = 2 ** 30;
const { spec } = parseManifest(
  `{apiVersion: fedbiot.io/v1alpha1, kind: FedBiOTJob, metadata: {name: memory}, spec: {
    model: {uri: m}, data: {train: {uri: t}, public: {uri: p}, eval: {uri: e}}, emulator: {alignment: {klWeight: 0}},
    federation: {local: {sequenceLength: 256}}, evaluation: {task: loss}}}`,
  'memory',
);

/** LLaMA 2's shapes in half precision. */
function memoryOf(hidden: number, intermediate: number, layers: number, heldOutSequences = Infinity) {
  const raw = {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_act: 'silu',
    rms_norm_eps: 1e-5,
    hidden_size: hidden,
    intermediate_size: intermediate,
    num_hidden_layers: layers,
    num_attention_heads: hidden / 128,
    num_key_value_heads: hidden / 128,
    vocab_size: 32000,
    tie_word_embeddings: false,
    max_position_embeddings: 4096,
    torch_dtype: 'float16',
  };
  const config = parseDecoderConfig(raw, 'config.json');
  const weights = shapedWeights(config, 'F16');
  const split = splitLayers({ layers, placement: 'Last', adapterLayers: 2, layerDropRate: 0.5, selection: 'Uniform' });
  return jobMemory(modelWithSplit({ config, weights }, split, spec), spec, {
    statesBytes: 0,
    workers: 1,
    heldOutSequences,
  });
}

t.test('an evaluation that reads each layer in turn', async (t) => {
  const [seven, deeper] = [memoryOf(4096, 11008, 32), memoryOf(4096, 11008, 64)];
  const layer = (4 * 4096 ** 2 + 3 * 4096 * 11008) * 4;
  t.ok(seven.evaluation.total > layer + SWEPT_STATES, 'a widened layer and the states between layers');
  t.ok(seven.evaluation.total < 5 * GIB, `${(seven.evaluation.total / GIB).toFixed(1)} GiB, of a model of 12.6 GiB`);
  const lora = deeper.evaluation.total - seven.evaluation.total;
  t.ok(lora < GIB / 4, `twice the layers add ${lora} bytes, for the LoRA of more layers`);
  const oneText = memoryOf(4096, 11008, 32, 1).evaluation.total;
  t.ok(oneText < seven.evaluation.total - SWEPT_STATES, 'one text has fewer rows than a pack, and few states');
});

t.test('sizes are whole bytes, as a report has them', async (t) => {
  const { server, client, evaluation, run } = memoryOf(384, 1000, 6);
  for (const { total, filePages } of [server, client, evaluation, run])
    t.ok(Number.isInteger(total) && Number.isInteger(filePages), `${total}, ${filePages}`);
});

t.test('a small model keeps all layers loaded', async (t) => {
  const [small, deeper] = [memoryOf(512, 1024, 8), memoryOf(512, 1024, 16)];
  const layer = (4 * 512 ** 2 + 3 * 512 * 1024) * 4;
  t.ok(deeper.evaluation.total - small.evaluation.total > 8 * layer, 'more layers need more memory');
});
