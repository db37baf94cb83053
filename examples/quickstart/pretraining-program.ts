import { Graph } from '../../worker/engine/graph/graph.ts';
import type { Value } from '../../worker/engine/graph/graph.ts';
import { crossEntropyOfLogits } from '../../worker/engine/ops/cross-entropy.ts';
import { gatherRows } from '../../worker/engine/ops/gather.ts';
import { gemm } from '../../worker/engine/ops/matrix.ts';
import { reshape, split } from '../../worker/engine/ops/shape.ts';
import { PARAMETERS, withGradient } from '../../worker/engine/trainer.ts';
import type { DecoderConfig } from '../../worker/model/config/config.ts';
import { finalNorm, head } from '../../worker/model/decoder/layer.ts';
import type { DecoderPass, WeightSource } from '../../worker/model/decoder/layer.ts';
import { isLikeliest } from '../../worker/model/programs/likeliest.ts';
import { labelInputs, passWith, runLayers } from '../../worker/model/programs/pass.ts';
import { layoutOf } from '../../worker/safetensors/tensor-layout.ts';
import type { TensorLayout } from '../../worker/safetensors/tensor-layout.ts';
import { decoderTensors } from '../../worker/model/config/tensors.ts';
import type { RandomStream } from '../../worker/random.ts';

/** The layout of all weights of a model in one flat vector, in the order in which they are used. */
export function parameterLayout(config: DecoderConfig): TensorLayout {
  return layoutOf(decoderTensors(config));
}

/**
 * Initial weights: norms are 1; matrices are normal with deviation 1/√(2·in). Those that write to the residual stream
 * are smaller by √(2·layers), so that the sum of all layers is initially not larger than one.
 */
export function initialParameters(config: DecoderConfig, layout: TensorLayout, stream: RandomStream): Float32Array {
  const out = new Float32Array(layout.size);
  for (const { name, shape, offset, size } of layout.slices) {
    const slice = out.subarray(offset, offset + size);
    const [, width] = shape;
    if (width === undefined) {
      slice.fill(1);
      continue;
    }
    const writesResidual = name.endsWith('o_proj.weight') || name.endsWith('down_proj.weight');
    const deviation = 1 / Math.sqrt(2 * width * (writesResidual ? 2 * config.layers : 1));
    for (let i = 0; i < size; i++) slice[i] = deviation * stream.normal();
  }
  return out;
}

/**
 * Gradient of the cross-entropy on labelled rows with respect to every weight of the model. Inputs: `ids` [rows],
 * `positions` [batch, length] and places (beginPass); `labelledRows`, `labels`, `labelWeights` [labelled];
 * `parameters`, `accumulated` [layout.size]. Outputs: `loss` [], `gradient` [layout.size].
 */
export function pretrainingProgram(config: DecoderConfig, layout: TensorLayout): Graph {
  const graph = new Graph();
  const parameters = graph.input(PARAMETERS, 'float32', [layout.size]);
  const pass = passWith(graph, config, { weight: slices(parameters, layout), lora: () => [] });
  const { rows, labels, weights } = labelInputs(graph);
  withGradient(graph, crossEntropyOfLogits(logitsOf(pass, rows), labels, weights), parameters);
  return graph;
}

/**
 * Inputs: as above, without `labelWeights` and `accumulated`. Output `correct` [labelled]: 1 where the label is the
 * likeliest token, else 0.
 */
export function accuracyProgram(config: DecoderConfig, layout: TensorLayout): Graph {
  const graph = new Graph();
  const pass = passWith(graph, config, {
    weight: slices(graph.input(PARAMETERS, 'float32', [layout.size]), layout),
    lora: () => [],
  });
  const rows = graph.input('labelledRows', 'int32', ['labelled']);
  const labels = graph.input('labels', 'int32', ['labelled']);
  graph.output('correct', isLikeliest(logitsOf(pass, rows), labels));
  return graph;
}

function slices(parameters: Value, layout: TensorLayout): WeightSource {
  const parts = split(
    parameters,
    0,
    layout.slices.map(({ size }) => size),
  );
  const weights = new Map(layout.slices.map(({ name, shape }, i) => [name, reshape(parts[i]!, shape)]));
  return (name) => {
    const weight = weights.get(name);
    if (!weight) throw new Error(`the model has no weight ${name}`);
    return weight;
  };
}

/** Rows of the embedding, which is trained with all else: [rows, hidden]. */
function embedding({ graph, weight }: DecoderPass): Value {
  return gatherRows(weight('model.embed_tokens.weight'), graph.input('ids', 'int32', ['rows']));
}

/** Logits [rows, vocabulary] of the given rows. */
function logitsOf(pass: DecoderPass, rows: Value): Value {
  const layers = Array.from({ length: pass.config.layers }, (_, layer) => layer);
  return gemm(finalNorm(pass, runLayers(pass, layers, embedding(pass), { rows })), head(pass), { transB: true });
}
