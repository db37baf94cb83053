import type { Provider } from '../../engine/compute-protocol.ts';
import { Graph } from '../../engine/graph/graph.ts';
import type { Value } from '../../engine/graph/graph.ts';
import { add, div, sqrt, square } from '../../engine/ops/elementwise.ts';
import { reduceSum } from '../../engine/ops/shape.ts';
import type { DecoderProjection } from '../config/projections.ts';
import { decoderLayer } from '../decoder/layer.ts';
import type { FederatedModel } from '../federated-model.ts';
import { NEXT } from './layer.ts';
import { beginPass, hiddenInput } from './pass.ts';

type Input = DecoderProjection['input'];

/** Name of the output with the rows that projections read. */
export const readBy = (input: Input): string => `read.${input}`;

/** Added to a squared length: a row of zeros is not divided by zero. */
const TINY = 1e-24;

/**
 * A full model's decoder layer without a tape (layerProgram), which also returns what its projections read, each row
 * scaled to length 1, because the first token's are by far the longest. Inputs: those of the layer. Outputs: `next`
 * [rows, hidden], and `read.INPUT` [rows, in] for each input of projections.
 */
export function projectionInputsProgram(model: FederatedModel, layer: number, provider: Provider): Graph {
  const graph = new Graph();
  const observe = (input: Input, x: Value) =>
    graph.output(readBy(input), div(x, sqrt(add(reduceSum(square(x), [1], true), TINY))));
  const pass = { ...beginPass(graph, model, () => [], { forwardOn: provider }), observe };
  graph.output(NEXT, decoderLayer(pass, layer, hiddenInput(pass)).h);
  return graph;
}
