import type { Provider } from '../../engine/compute-protocol.ts';
import { Graph } from '../../engine/graph/graph.ts';
import { decoderLayer } from '../decoder/layer.ts';
import type { DecoderPass } from '../decoder/layer.ts';
import type { FederatedModel } from '../federated-model.ts';
import { loraOf } from '../lora/graph.ts';
import { layoutOfLayer } from '../lora/layout.ts';
import { beginPass, hiddenInput, vectorInput } from './pass.ts';

/** Name of the output with the states after the layer. */
export const NEXT = 'next';

/** The vector that holds a layer's LoRA. */
export type LoraVector = 'adapter' | 'emulator';

/**
 * One decoder layer, of a model that is computed a layer at a time, without a tape. Inputs: `hidden` [rows, hidden],
 * the states before it; `positions` and places (beginPass); the vector `adapter` or `emulator`, whole, if the layer has
 * LoRA there. Output: `next` [rows, hidden].
 * @param vector null runs the layer without LoRA
 * @param provider that runs it; only a CPU sweeps a large model
 */
export function layerProgram(
  model: FederatedModel,
  layer: number,
  vector: LoraVector | null,
  provider: Provider = 'cpu',
): Graph {
  const graph = new Graph();
  const lora = vector === null ? () => [] : loraOfLayer(graph, model, layer, vector);
  const pass = beginPass(graph, model, lora, { forwardOn: provider, emulates: vector === 'emulator' });
  graph.output(NEXT, decoderLayer(pass, layer, hiddenInput(pass)).h);
  return graph;
}

/** Cuts out the layer's part first: to split the whole vector in every layer would copy it as often. */
function loraOfLayer(graph: Graph, model: FederatedModel, layer: number, vector: LoraVector): DecoderPass['lora'] {
  const { layout, offset } = layoutOfLayer(model[vector].layout, layer);
  if (layout.size === 0) return () => [];
  const whole = vectorInput(graph, vector, model[vector]);
  const bounds = [graph.integers(offset), graph.integers(offset + layout.size)];
  const own = graph.apply('Slice', [whole, ...bounds], 'float32', [layout.size]);
  return loraOf(own, layout, model[vector].scale);
}
