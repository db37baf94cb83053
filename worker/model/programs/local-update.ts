import { Graph } from '../../engine/graph/graph.ts';
import type { Value } from '../../engine/graph/graph.ts';
import { add, mul, neg } from '../../engine/ops/elementwise.ts';
import { gemm } from '../../engine/ops/matrix.ts';
import { concat, reduceSum, split } from '../../engine/ops/shape.ts';
import { crossEntropy } from '../../engine/ops/cross-entropy.ts';
import { withGradient } from '../../engine/trainer.ts';
import type { FederatedModel } from '../federated-model.ts';
import { finalNorm, headSlices } from '../decoder/layer.ts';
import { loraOf } from '../lora/graph.ts';
import type { LoraOfLayer } from '../lora/graph.ts';
import { storedWeights } from '../weights/stored-weights.ts';
import {
  beginPass,
  EMULATOR,
  hiddenInput,
  labelInputs,
  loraOfPart,
  runLayers,
  trainedLora,
  vectorInput,
} from './pass.ts';

export interface LocalObjective {
  /** λ. */
  readonly proximalWeight: number;
  /** Sequences of a micro-batch. */
  readonly batchSize: number;
}

/**
 * Gradient of a client's loss with respect to the adapter's LoRA (method, "tune the adapter"):
 *   CE(labels) + λ · Σ_W ‖(α/r)·(B·A − B₀·A₀)‖²
 * With the adapter last, the emulator's output is an input, since no gradient flows into the emulator. With adapter
 * layers at both ends the gradient crosses the frozen emulator, which then is part of the graph.
 *
 * Inputs: `positions` and places (beginPass); `hidden` [rows, hidden], which with layers at both ends is the embedding,
 * and then `emulator`; `labelledRows`, `labels`, `labelWeights` [labelled]; `parameters`, `accumulated` [adapter]; with
 * λ `reference` [adapter], the round's start. Outputs: `loss` [], `gradient` [adapter].
 */
export function localUpdateProgram(model: FederatedModel, { proximalWeight, batchSize }: LocalObjective): Graph {
  const graph = new Graph();
  const { front, emulator, tail } = model.split;
  const { parameters, lora: adapterLora } = trainedLora(graph, model.adapter);
  const emulatorLora = loraOfPart(
    front.length > 0 ? vectorInput(graph, EMULATOR, model.emulator) : undefined,
    model.emulator,
  );
  const weight = storedWeights(graph, model);
  const pass = beginPass(graph, model, (layer) => (emulator.includes(layer) ? emulatorLora : adapterLora)(layer), {
    batchSize,
    weight,
    emulates: true,
  });
  const { rows, labels, weights } = labelInputs(graph);

  const crossed = front.length > 0 ? [...front, ...emulator] : [];
  const h = runLayers(pass, crossed, hiddenInput(pass));
  const y = finalNorm(pass, runLayers(pass, tail, h, { rows }));
  let loss = crossEntropy(y, headSlices(model.config, weight), labels, weights);
  if (proximalWeight > 0) {
    const reference = loraOf(vectorInput(graph, 'reference', model.adapter), model.adapter.layout, model.adapter.scale);
    loss = add(loss, mul(proximalTerm(adapterLora, reference, [...front, ...tail]), proximalWeight));
  }
  withGradient(graph, loss, parameters);
  return graph;
}

/**
 * Σ_W ‖(α/r)·(B·A − B₀·A₀)‖² without a dense matrix: with U = [B, −B₀] and V = [A; A₀] each norm is
 * (α/r)²·trace((UᵀU)(V·Vᵀ)) = (α/r)²·Σ (UᵀU ∘ V·Vᵀ), both factors being symmetric [2r, 2r].
 */
function proximalTerm(lora: LoraOfLayer, reference: LoraOfLayer, layers: readonly number[]): Value {
  const terms = layers.flatMap((layer) => {
    const starts = reference(layer);
    return lora(layer).flatMap((group, g) => {
      const start = starts[g]!;
      const as = split(group.a, 0, group.ranks);
      const as0 = split(start.a, 0, start.ranks);
      return [...group.b].map(([projection, b], i) => {
        const u = concat([b, neg(start.b.get(projection)!)], 0);
        const v = concat([as[i]!, as0[i]!], 0);
        const product = mul(gemm(u, u, { transB: true }), gemm(v, v, { transB: true }));
        return mul(reduceSum(product, [0, 1], false), group.scale ** 2);
      });
    });
  });
  return terms.reduce((x, y) => add(x, y));
}
