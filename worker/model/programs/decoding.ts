import { Graph } from '../../engine/graph/graph.ts';
import { gatherRows } from '../../engine/ops/gather.ts';
import { termsShape } from '../../engine/ops/int8-matrix.ts';
import { gemm } from '../../engine/ops/matrix.ts';
import type { FederatedModel } from '../federated-model.ts';
import { decoderLayer, finalNorm, head } from '../decoder/layer.ts';
import type { DecoderPass } from '../decoder/layer.ts';
import { positionsOf } from '../decoder/positions.ts';
import { layerOf } from '../config/tensors.ts';
import type { QuantizedEntry } from '../weights/quantized-index.ts';
import { quantizedWeights, storedTerms, storedWeights } from '../weights/stored-weights.ts';
import type { Trunk } from './hidden-states.ts';
import { likeliest } from './likeliest.ts';
import { ADAPTER, EMULATOR, hiddenInput, loraOfPart, vectorInput } from './pass.ts';

/** Names of a layer's cache: inputs `past.*`, outputs `present.*`. */
export function cacheNames(layer: number): { past: [string, string]; present: [string, string] } {
  return {
    past: [`past.keys.${layer}`, `past.values.${layer}`],
    present: [`present.keys.${layer}`, `present.values.${layer}`],
  };
}

/** All layers of a model with the given trunk, in order. */
export function decodedLayers({ split }: FederatedModel, trunk: Trunk): readonly number[] {
  return [...split.front, ...split[trunk], ...split.tail];
}

/** Zero-point terms of a projection in 8 bits: an output of `termsProgram`, and an input of `decodingProgram`. */
export interface DecodedTerms {
  readonly name: string;
  /** Name of the projection's weight. */
  readonly weight: string;
  readonly entry: QuantizedEntry;
}

/** Those of a model with the given trunk; none where products are not of integers. */
export function decodedTerms(model: FederatedModel, trunk: Trunk): readonly DecodedTerms[] {
  const { quantized } = model;
  if (quantized?.product !== 'Int8') return [];
  const layers = decodedLayers(model, trunk);
  return [...quantized[trunk]]
    .filter(([weight, { format }]) => format === 'Int8' && layers.includes(layerOf(weight)!))
    .map(([weight, entry]) => ({ name: `terms.${weight}`, weight, entry }));
}

/** Computes `terms.*`, once for all decoding steps: it has no inputs. */
export function termsProgram(model: FederatedModel, trunk: Trunk): Graph {
  const graph = new Graph();
  const terms = storedTerms(graph, model);
  for (const { name, entry } of decodedTerms(model, trunk)) graph.output(name, terms(entry));
  return graph;
}

/**
 * One step of greedy decoding with a cache of keys and values; the first step, with an empty cache, reads the prompts.
 * Inputs: `hidden` [batch·length, hidden], the embedding; `positions` [batch, length]; `keyPositions` [batch, keys] for
 * cached and new tokens, where a padded key has PADDING_POSITION; `lastRows` [batch] (int32), the row of each
 * sequence's last token; `past.*` [batch, keyValueHeads, past, headDim]; `terms.*` (int32), the outputs of
 * `termsProgram`; `adapter`, and `emulator` for the emulator.
 * Outputs: `next` [batch] (int32), the likeliest tokens; `present.*`.
 */
export function decodingProgram(model: FederatedModel, trunk: Trunk): Graph {
  const graph = new Graph();
  const { config } = model;
  const adapter = loraOfPart(vectorInput(graph, ADAPTER, model.adapter), model.adapter);
  const emulator = loraOfPart(
    trunk === 'emulator' ? vectorInput(graph, EMULATOR, model.emulator) : undefined,
    model.emulator,
  );
  const trunkLayers = model.split[trunk];
  const queries = graph.input('positions', 'float32', ['batch', 'length']);
  const keys = graph.input('keyPositions', 'float32', ['batch', 'keys']);
  const lastRows = graph.input('lastRows', 'int32', ['batch']);
  const terms = new Map(
    decodedTerms(model, trunk).map(({ name, weight, entry }) => [
      weight,
      graph.input(name, 'int32', termsShape(entry.values.shape)),
    ]),
  );
  const pass: DecoderPass = {
    graph,
    config,
    weight: storedWeights(graph, model),
    quantized: quantizedWeights(graph, model, trunk === 'emulator', terms),
    positions: positionsOf(graph, config, queries, keys),
    places: null,
    whole: null,
    lora: (layer) => (trunkLayers.includes(layer) ? emulator : adapter)(layer),
  };

  let h = hiddenInput(pass);
  const cacheShape = ['batch', config.keyValueHeads, 'past', config.headDim];
  for (const layer of decodedLayers(model, trunk)) {
    const { past, present } = cacheNames(layer);
    const cache = {
      keys: graph.input(past[0], 'float32', cacheShape),
      values: graph.input(past[1], 'float32', cacheShape),
    };
    const step = decoderLayer(pass, layer, h, { cache });
    h = step.h;
    graph.output(present[0], step.cache!.keys);
    graph.output(present[1], step.cache!.values);
  }
  const logits = gemm(finalNorm(pass, gatherRows(h, lastRows)), head(pass), { transB: true });
  graph.output('next', likeliest(logits));
  return graph;
}
