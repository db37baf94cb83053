import type { Graph, Value } from '../../engine/graph/graph.ts';
import type { Provider } from '../../engine/compute-protocol.ts';
import { placesOf } from '../../engine/ops/padding.ts';
import type { Places } from '../../engine/ops/padding.ts';
import { wholeSequences } from '../../engine/ops/whole-attention.ts';
import { PARAMETERS } from '../../engine/trainer.ts';
import type { DecoderConfig } from '../config/config.ts';
import type { FederatedModel, LoraPart } from '../federated-model.ts';
import { loraOf } from '../lora/graph.ts';
import { decoderLayer } from '../decoder/layer.ts';
import type { DecoderPass, LayerOptions, WeightSource } from '../decoder/layer.ts';
import { positionsOf } from '../decoder/positions.ts';
import { quantizedWeights, storedWeights } from '../weights/stored-weights.ts';

/** Names of the inputs that all programs share. */
const HIDDEN = 'hidden';
const POSITIONS = 'positions';
export const ADAPTER = 'adapter';
export const EMULATOR = 'emulator';
const DROPOUT_KEY = 'dropoutKey';

/** A flat LoRA vector as an input of the graph. */
export function vectorInput(graph: Graph, name: string, { layout }: LoraPart): Value {
  return graph.input(name, 'float32', [layout.size]);
}

/** The LoRA of a part's layers, split from its flat vector; without a vector the layers run without LoRA. */
export function loraOfPart(vector: Value | undefined, { layout, scale }: LoraPart): DecoderPass['lora'] {
  return vector && layout.size > 0 ? loraOf(vector, layout, scale) : () => [];
}

/**
 * The trained vector, and the LoRA of its layers with dropout if the part has any; then `dropoutKey` [1] (int64) is an
 * input, which must be new for every step.
 */
export function trainedLora(graph: Graph, part: LoraPart): { parameters: Value; lora: DecoderPass['lora'] } {
  const parameters = vectorInput(graph, PARAMETERS, part);
  const dropped = part.dropout > 0 ? { rate: part.dropout, key: graph.input(DROPOUT_KEY, 'int64', [1]) } : undefined;
  return { parameters, lora: loraOf(parameters, part.layout, part.scale, dropped) };
}

export interface PassOptions {
  /** Sequences in every batch, if known: a single one has no padding. */
  readonly batchSize?: number;
  readonly weight?: WeightSource;
  /** For a pass without a gradient, the provider that runs it: it may have kernels that have none. */
  readonly forwardOn?: Provider;
  /** The pass has the emulator's layers, which may be quantised where the teacher's are not. */
  readonly emulates?: boolean;
}

/**
 * Begins a pass over whole sequences. Inputs: `positions` [batch, length] serve queries and keys alike; unless batches
 * have one sequence, `cells` [rows] and `rowsOfCells` [batch, length] (int32) give the place of each row among them.
 */
export function beginPass(
  graph: Graph,
  model: FederatedModel,
  lora: DecoderPass['lora'],
  options: PassOptions = {},
): DecoderPass {
  const { weight = storedWeights(graph, model), emulates = false } = options;
  const quantized = quantizedWeights(graph, model, emulates);
  return passWith(graph, model.config, { weight, quantized, lora }, options);
}

/** The same, with weights from any source. */
export function passWith(
  graph: Graph,
  config: DecoderConfig,
  { weight, quantized = () => undefined, lora }: Pick<DecoderPass, 'weight' | 'lora'> & Partial<DecoderPass>,
  { batchSize, forwardOn }: Pick<PassOptions, 'batchSize' | 'forwardOn'> = {},
): DecoderPass {
  const queries = graph.input(POSITIONS, 'float32', ['batch', 'length']);
  const places = batchSize === 1 ? null : placesInput(graph);
  const positions = positionsOf(graph, config, queries, queries);
  // CUDA computes the tiled operator in half precision only.
  const whole = forwardOn === 'cpu' ? wholeSequences(queries, positions.mask) : null;
  return { graph, config, weight, quantized, positions, places, whole, lora };
}

function placesInput(graph: Graph): Places {
  return placesOf(graph.input('cells', 'int32', ['rows']), graph.input('rowsOfCells', 'int32', ['batch', 'length']));
}

/** The input of a pass, [rows, hidden]: the embedding of its tokens, or the output of the layers before. */
export function hiddenInput({ graph, config }: Pick<DecoderPass, 'graph' | 'config'>): Value {
  return graph.input(HIDDEN, 'float32', ['rows', config.hiddenSize]);
}

/** Runs decoder layers in order; `options` applies to the last of them. */
export function runLayers(pass: DecoderPass, layers: readonly number[], h: Value, options: LayerOptions = {}): Value {
  return layers.reduce((x, layer, i) => decoderLayer(pass, layer, x, i === layers.length - 1 ? options : {}).h, h);
}

/**
 * Rows that carry a label: their places among all rows, the labels, and each row's weight in the loss, all [labelled].
 */
export function labelInputs(graph: Graph): { rows: Value; labels: Value; weights: Value } {
  return {
    rows: graph.input('labelledRows', 'int32', ['labelled']),
    labels: graph.input('labels', 'int32', ['labelled']),
    weights: graph.input('labelWeights', 'float32', ['labelled']),
  };
}
