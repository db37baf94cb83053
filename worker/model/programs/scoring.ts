import type { Provider } from '../../engine/compute-protocol.ts';
import { Graph } from '../../engine/graph/graph.ts';
import { negativeLogLikelihood } from '../../engine/ops/cross-entropy.ts';
import { gemm } from '../../engine/ops/matrix.ts';
import type { FederatedModel } from '../federated-model.ts';
import { finalNorm, head } from '../decoder/layer.ts';
import { isLikeliest } from './likeliest.ts';
import { ADAPTER, beginPass, hiddenInput, loraOfPart, runLayers, vectorInput } from './pass.ts';

/**
 * From the hidden states before the last layers (the tail, or fewer) to each labelled row's loss and whether its label
 * is the likeliest token. Inputs: `positions` and places (beginPass); `hidden` [rows, hidden]; `adapter`;
 * `labelledRows`, `labels` [labelled] (int32). Outputs: `nll` [labelled] in nats; `correct` [labelled], 1 or 0.
 */
export function scoringProgram(
  model: FederatedModel,
  provider: Provider,
  last: readonly number[] = model.split.tail,
): Graph {
  const graph = new Graph();
  const lora = loraOfPart(vectorInput(graph, ADAPTER, model.adapter), model.adapter);
  const pass = beginPass(graph, model, lora, { forwardOn: provider });
  const rows = graph.input('labelledRows', 'int32', ['labelled']);
  const labels = graph.input('labels', 'int32', ['labelled']);
  const y = finalNorm(pass, runLayers(pass, last, hiddenInput(pass), { rows }));
  const logits = gemm(y, head(pass), { transB: true });
  graph.output('nll', negativeLogLikelihood(logits, labels));
  graph.output('correct', isLikeliest(logits, labels));
  return graph;
}
