import type { Provider } from '../../engine/compute-protocol.ts';
import { Graph } from '../../engine/graph/graph.ts';
import type { Value } from '../../engine/graph/graph.ts';
import { add, div, mul, sqrt, square, sub } from '../../engine/ops/elementwise.ts';
import { reduceSum } from '../../engine/ops/shape.ts';
import type { FederatedModel } from '../federated-model.ts';
import { decoderLayer } from '../decoder/layer.ts';
import { NEXT } from './layer.ts';
import { beginPass, hiddenInput, runLayers } from './pass.ts';

/** Name of the output of the given layer's influence. */
export function influenceOf(layer: number): string {
  return `influence.${layer}`;
}

/**
 * How much each teacher layer changes the hidden states (block influence, ShortGPT, arXiv 2403.03853):
 *   Σ_i w_i·(1 − cos(x_i, layer(x_i)))
 * Inputs: `hidden` [rows, hidden], the embedding; `positions` and places (beginPass); `tokenWeights` [rows]. Output
 * `influence.L` [] for each teacher layer.
 */
export function influenceProgram(model: FederatedModel, provider: Provider): Graph {
  const graph = new Graph();
  const pass = beginPass(graph, model, () => [], { forwardOn: provider });
  const weights = tokenWeightsInput(graph);
  let h = runLayers(pass, model.split.front, hiddenInput(pass));
  for (const layer of model.split.teacher) {
    const next = decoderLayer(pass, layer, h).h;
    graph.output(influenceOf(layer), influence(h, next, weights));
    h = next;
  }
  return graph;
}

/** The same of one layer, from the states before it; they continue in `next` [rows, hidden] (layerProgram). */
export function layerInfluenceProgram(model: FederatedModel, layer: number): Graph {
  const graph = new Graph();
  const pass = beginPass(graph, model, () => [], { forwardOn: 'cpu' });
  const weights = tokenWeightsInput(graph);
  const h = hiddenInput(pass);
  const next = decoderLayer(pass, layer, h).h;
  graph.output(influenceOf(layer), influence(h, next, weights));
  graph.output(NEXT, next);
  return graph;
}

const tokenWeightsInput = (graph: Graph): Value => graph.input('tokenWeights', 'float32', ['rows']);

const influence = (before: Value, after: Value, weights: Value): Value =>
  reduceSum(mul(weights, sub(1, cosine(before, after))), [0], false);

function cosine(a: Value, b: Value): Value {
  const norm = (x: Value) => sqrt(add(reduceSum(square(x), [1], false), 1e-12));
  return div(reduceSum(mul(a, b), [1], false), mul(norm(a), norm(b)));
}
