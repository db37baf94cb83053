import type { Compute } from '../../worker/engine/compute.ts';
import { Graph } from '../../worker/engine/graph/graph.ts';
import { gatherRows } from '../../worker/engine/ops/gather.ts';
import { gemm } from '../../worker/engine/ops/matrix.ts';
import type { Tensor } from '../../worker/engine/graph/tensor.ts';
import type { FederatedModel } from '../../worker/model/federated-model.ts';
import { finalNorm, head } from '../../worker/model/decoder/layer.ts';
import {
  ADAPTER,
  beginPass,
  hiddenInput,
  loraOfPart,
  runLayers,
  vectorInput,
} from '../../worker/model/programs/pass.ts';
import { weightFolder } from '../../worker/model/weights/stored-weights.ts';

/** Runs a graph of a model once and returns its outputs. */
export async function runProgram(
  compute: Compute,
  model: FederatedModel,
  graph: Graph,
  feeds: Readonly<Record<string, Tensor>>,
): Promise<Readonly<Record<string, Tensor>>> {
  const session = await compute.load(graph, weightFolder(model));
  const { outputs } = await session.run({ feeds, fetch: graph.outputs.map(({ name }) => name) });
  await session.release();
  return outputs;
}

/**
 * From the embedding through all layers of the full model to `logits` [chosen, vocabulary] at the positions in `rows`
 * [chosen].
 */
export function logitsProgram(model: FederatedModel): Graph {
  const graph = new Graph();
  const lora = loraOfPart(vectorInput(graph, ADAPTER, model.adapter), model.adapter);
  const pass = beginPass(graph, model, lora);
  const h = runLayers(pass, [...model.split.teacher, ...model.split.tail], hiddenInput(pass));
  const chosen = gatherRows(h, graph.input('rows', 'int32', ['chosen']));
  graph.output('logits', gemm(finalNorm(pass, chosen), head(pass), { transB: true }));
  return graph;
}
