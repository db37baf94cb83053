import { Graph } from '../../engine/graph/graph.ts';
import type { Value } from '../../engine/graph/graph.ts';
import { crossEntropy } from '../../engine/ops/cross-entropy.ts';
import { divergence } from '../../engine/ops/divergence.ts';
import { add, mul } from '../../engine/ops/elementwise.ts';
import { gatherRows } from '../../engine/ops/gather.ts';
import { withGradient } from '../../engine/trainer.ts';
import type { FederatedModel } from '../federated-model.ts';
import { decoderLayer, finalNorm, headSlices } from '../decoder/layer.ts';
import { storedWeights } from '../weights/stored-weights.ts';
import {
  ADAPTER,
  beginPass,
  hiddenInput,
  labelInputs,
  loraOfPart,
  runLayers,
  trainedLora,
  vectorInput,
} from './pass.ts';
import { SIMILARITIES } from './similarity.ts';
import type { Similarity } from './similarity.ts';

export interface AlignmentObjective {
  readonly similarity: Similarity;
  /** κ. */
  readonly klWeight: number;
  /** w: the loss is (1 − w)·sim + κ·KL + w·CE. */
  readonly languageModelWeight: number;
  /** Sequences of a batch. */
  readonly batchSize: number;
}

/** Name of the input with the teacher's hidden states after the given layer. */
export function teacherAfter(layer: number): string {
  return `teacher.${layer}`;
}

/**
 * The teacher layers whose outputs an alignment reads: the last one, against the emulator's end and for KL, and for
 * Layerwise the origin of each kept layer. Because of rounding, Uniform selection may not keep the last layer (16
 * layers at β = 0.25).
 */
export function comparedLayers({ split }: FederatedModel, similarity: Similarity): readonly number[] {
  const last = split.teacher.at(-1)!;
  return similarity === 'Layerwise' ? [...new Set([...split.emulator, last])] : [last];
}

/**
 * Gradient of the alignment's loss with respect to the emulator's LoRA (method, "align the emulator"):
 *   (1 − w)·sim(h_E, h_T) + κ·KL(z_T ‖ z_E) + w·CE(z_E, labels)
 * h_T is an input, computed once per sequence. z_T and z_E share the adapter, which is fixed here, and the head.
 *
 * Inputs: `positions` and places (beginPass); `hidden` [rows, hidden], the embedding or the output of the adapter's
 * front layers; `teacher.L` [rows, hidden]; `tokenWeights` [rows]: 1/tokens; `parameters`, `accumulated` [emulator];
 * with κ or w `adapter`; with w `labelledRows`, `labels` [labelled] (int32) and `labelWeights` [labelled]. Outputs:
 * `loss` [], `gradient` [emulator].
 */
export function alignmentProgram(model: FederatedModel, objective: AlignmentObjective): Graph {
  const { similarity, klWeight, languageModelWeight, batchSize } = objective;
  const graph = new Graph();
  const { emulator, tail } = model.split;
  const teacherEnd = model.split.teacher.at(-1)!;
  const needsLogits = klWeight > 0 || languageModelWeight > 0;
  const { parameters, lora: emulatorLora } = trainedLora(graph, model.emulator);
  const adapterLora = loraOfPart(needsLogits ? vectorInput(graph, ADAPTER, model.adapter) : undefined, model.adapter);
  const weight = storedWeights(graph, model);
  const pass = beginPass(graph, model, (layer) => (tail.includes(layer) ? adapterLora : emulatorLora)(layer), {
    batchSize,
    weight,
    emulates: true,
  });
  const hidden = ['rows', model.config.hiddenSize];
  const tokenWeights = graph.input('tokenWeights', 'float32', ['rows']);

  let h = hiddenInput(pass);
  const student = new Map<number, Value>();
  for (const layer of emulator) student.set(layer, (h = decoderLayer(pass, layer, h).h));
  const teacher = new Map(
    comparedLayers(model, similarity).map((layer) => [layer, graph.input(teacherAfter(layer), 'float32', hidden)]),
  );

  const pairs = similarity === 'Layerwise' ? [...student] : [[teacherEnd, h] as const];
  const similarities = pairs.map(([layer, hE]) => SIMILARITIES[similarity](hE, teacher.get(layer)!, tokenWeights));
  let loss = mul(
    similarities.reduce((a, b) => add(a, b)),
    1 - languageModelWeight,
  );
  if (needsLogits) {
    const yE = finalNorm(pass, runLayers(pass, tail, h));
    const slices = headSlices(model.config, weight);
    if (klWeight > 0) {
      const yT = finalNorm(pass, runLayers(pass, tail, teacher.get(teacherEnd)!));
      loss = add(loss, mul(divergence(yT, yE, slices, tokenWeights), klWeight));
    }
    if (languageModelWeight > 0) {
      const { rows, labels, weights } = labelInputs(graph);
      loss = add(loss, mul(crossEntropy(gatherRows(yE, rows), slices, labels, weights), languageModelWeight));
    }
  }
  withGradient(graph, loss, parameters);
  return graph;
}
