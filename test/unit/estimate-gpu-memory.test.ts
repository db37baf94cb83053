// GPU memory of the roles: that of SmolLM2 as it was measured, and what the weights of a large model add.
import t from 'tap';
import { parseManifest } from '../../crds/parse.ts';
import { CUDA_BYTES, gpuMemory } from '../../worker/estimate/gpu-memory.ts';
import { withPlannedComputeWeights, withPlannedQuantized } from '../../worker/estimate/planned-quantized.ts';
import { parseDecoderConfig } from '../../worker/model/config/config.ts';
import { federateModel } from '../../worker/run/job-model.ts';
import type { FloatDtype } from '../../worker/safetensors/float-formats.ts';
import { LLAMA_2_7B } from '../support/llama-shape.ts';
import type { LlamaShape } from '../support/llama-shape.ts';
import { shapedWeights } from '../support/shaped-weights.ts';

const GIB = 2 ** 30;
const SMOLLM2: LlamaShape = { hidden: 576, intermediate: 1536, layers: 30, heads: 9, keyValueHeads: 3 };
const unmeasured = () => Promise.reject(new Error('uniform'));

/** The job of `bench:speed` at batch 4, which was measured, with an evaluation if there are held-out data. */
function jobOf({ klWeight = 0, heldOut = '' }) {
  return parseManifest(
    `{apiVersion: fedbiot.io/v1alpha1, kind: FedBiOTJob, metadata: {name: gpu}, spec: {
      model: {uri: m}, data: {train: {uri: t}, public: {uri: p} ${heldOut}},
      emulator: {layerDropRate: 0.5, layerSelection: Uniform,
        alignment: {batchSize: 4, sequenceLength: 256, klWeight: ${klWeight}, lora: {rank: 8}}},
      adapter: {layers: 4, lora: {rank: 8}}, federation: {local: {batchSize: 4, sequenceLength: 256}},
      evaluation: {task: loss}}}`,
    'gpu',
  ).spec;
}

function modelOf(shape: LlamaShape, dtype: FloatDtype, spec: ReturnType<typeof jobOf>) {
  const isSmol = shape === SMOLLM2;
  const config = parseDecoderConfig(
    {
      ...{ architectures: ['LlamaForCausalLM'], model_type: 'llama', hidden_act: 'silu', rms_norm_eps: 1e-5 },
      ...{ hidden_size: shape.hidden, intermediate_size: shape.intermediate, num_hidden_layers: shape.layers },
      ...{ num_attention_heads: shape.heads, num_key_value_heads: shape.keyValueHeads },
      ...{ vocab_size: isSmol ? 49152 : 32000, tie_word_embeddings: isSmol, max_position_embeddings: 4096 },
    },
    'config.json',
  );
  return federateModel({ config, weights: shapedWeights(config, dtype) }, spec, unmeasured);
}

const one = { workers: 1, heldOutSequences: Infinity };

t.test('SmolLM2 at batch 4, as nvidia-smi measured it on an H200', async (t) => {
  for (const [klWeight, role, measured] of [
    [0, 'server', 2.5],
    [1, 'server', 3.6],
    [0, 'client', 2.3],
  ] as const) {
    const spec = jobOf({ klWeight });
    const planned = gpuMemory(await modelOf(SMOLLM2, 'BF16', spec), spec, one)[role] / GIB;
    const ratio = planned / measured;
    t.ok(ratio >= 0.9 && ratio <= 1.35, `${role}, κ = ${klWeight}: ${planned.toFixed(2)} GiB, ${ratio.toFixed(2)}`);
  }
});

t.test('a large model keeps all layers in each session, in half precision', async (t) => {
  const spec = jobOf({ heldOut: ', eval: {uri: e}' });
  const deep = { ...LLAMA_2_7B, layers: 64 };
  const [model, deeper] = [await modelOf(LLAMA_2_7B, 'F16', spec), await modelOf(deep, 'F16', spec)];
  const [seven, more] = [gpuMemory(model, spec, one), gpuMemory(deeper, spec, one)];
  const layer = 4 * 4096 ** 2 + 3 * 4096 * 11008 + 2 * 4096;
  const added = {
    teacher: deeper.split.teacher.length - model.split.teacher.length,
    emulator: deeper.split.emulator.length - model.split.emulator.length,
    lora: 4 * (deeper.emulator.layout.size - model.emulator.layout.size),
  };
  t.equal(more.client - seven.client, 2 * layer * added.emulator + added.lora, 'the emulator, once');
  const scored = 2 * layer * (added.teacher + added.emulator) + added.lora;
  t.equal(more.evaluation - seven.evaluation, scored, 'the teacher part and the emulator');
  t.ok(more.server - seven.server > 2 * layer * (added.teacher + added.emulator), 'likewise, and what a step keeps');
  // 28 layers of the teacher part and 14 of the emulator have 15.8 GiB. A step takes 6.5 GiB, and a pass of 4,096
  // tokens with all scores 2.1. Copies of two weights in each session take 0.7, LoRA 0.3, and CUDA's own 1.25.
  t.equal((seven.server / GIB).toFixed(1), '26.7');
});

t.test('how the processor of this machine multiplies changes nothing', async (t) => {
  const spec = jobOf({ heldOut: ', eval: {uri: e}' });
  const { computeWeights, ...model } = withPlannedComputeWeights(await modelOf(LLAMA_2_7B, 'F16', spec));
  const { index } = computeWeights!;
  const [bytes, floats] = (['Int8', 'Float32'] as const).map((product) =>
    gpuMemory({ ...model, computeWeights: { index, product } }, spec, one),
  );
  t.same(bytes, floats);
});

t.test('processes have a context each, and a role without work has none', async (t) => {
  const spec = jobOf({});
  const model = await modelOf(SMOLLM2, 'BF16', spec);
  const { server, client, evaluation, run } = gpuMemory(model, spec, one);
  t.equal(evaluation, 0);
  t.equal(run, server + client - CUDA_BYTES, 'one process plays both roles');
  t.equal(gpuMemory(model, spec, { ...one, workers: 3 }).run, run + 2 * client);
});

t.test('CUDA multiplies by float32 copies of weights in 8 bits, and by those in 4 bits', async (t) => {
  const spec = jobOf({ heldOut: ', eval: {uri: e}' });
  const model = await modelOf(SMOLLM2, 'BF16', spec);
  const plain = gpuMemory(model, spec, one);
  t.same(gpuMemory(withPlannedQuantized(model, 'Int8'), spec, one), plain);
  t.same(gpuMemory(withPlannedComputeWeights(model), spec, one), plain);
  const { client, server } = gpuMemory(withPlannedQuantized(model, 'Int4'), spec, one);
  const layers = model.split.emulator.length;
  const projections = layers * (2 * 576 ** 2 + 2 * 576 * 192 + 3 * 576 * 1536);
  const blocks = projections / 32;
  t.equal(plain.client - client, 4 * projections - projections / 2 - 4.5 * blocks, 'levels, scales and zero points');
  t.equal(server - plain.server, projections / 2 + 4.5 * blocks, 'the gradient reads copies beside them');
});
