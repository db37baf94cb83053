import type { Compute } from '../engine/compute.ts';
import { float32 } from '../engine/graph/tensor.ts';
import type { Tensor } from '../engine/graph/tensor.ts';
import { placeFeeds, tokenIds } from '../model/batch-feeds.ts';
import type { TokenBatch } from '../model/batch-feeds.ts';
import { embed } from '../model/weights/embedding.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import { influenceOf, influenceProgram, layerInfluenceProgram } from '../model/programs/influence.ts';
import { layerProgram } from '../model/programs/layer.ts';
import { weightFolder } from '../model/weights/stored-weights.ts';
import type { WeightIndex } from '../model/weights/weight-index.ts';
import { isSwept, LayerSweep } from './layer-sweep.ts';
import type { Pass, SweepOptions } from './layer-sweep.ts';

/**
 * The influence of each teacher layer, in order: the mean over the batches' tokens of 1 − cos(input, output). The first
 * token of a text is left out: it is an attention sink whose norm and direction say nothing about the rest.
 * @param onMeasured called after each pass through a layer, if layers run one at a time, with the share that is done
 */
export async function layerInfluence(
  compute: Compute,
  model: FederatedModel,
  batches: readonly TokenBatch[],
  onMeasured: (done: number) => void,
): Promise<number[]> {
  const { front, teacher } = model.split;
  const influence = teacher.map(() => 0);
  const total = batches.length * (front.length + teacher.length);
  let done = 0;
  const onLayer = () => onMeasured(++done / total);
  for await (const shares of influenceOfPasses(compute, model, passesOver(batches, model.weights), { onLayer }))
    shares.forEach(({ data }, i) => (influence[i] = influence[i]! + Number(data[0])));
  return influence;
}

function* passesOver(batches: readonly TokenBatch[], weights: WeightIndex): Generator<Pass> {
  const total = batches.reduce((sum, { tokens, rows }) => sum + tokens - rows, 0);
  for (const batch of batches) {
    const each = [...batch.lengths].flatMap((length) => Array.from({ length }, (_, i) => (i === 0 ? 0 : 1 / total)));
    const tokenWeights = float32(Float32Array.from(each));
    yield { hidden: embed(weights, tokenIds(batch)), feeds: { ...placeFeeds(batch), tokenWeights } };
  }
}

/** For each pass its share in the influence of each teacher layer. */
async function* influenceOfPasses(
  compute: Compute,
  model: FederatedModel,
  passes: Iterable<Pass>,
  options: SweepOptions,
): AsyncGenerator<Tensor[]> {
  const { front, teacher } = model.split;
  const folder = weightFolder(model);
  const whole = influenceProgram(model, compute.provider);
  if (isSwept(compute, whole)) {
    const layers = [
      ...front.map((layer) => ({ program: () => layerProgram(model, layer, null), fetch: [] })),
      ...teacher.map((layer) => ({ program: () => layerInfluenceProgram(model, layer), fetch: [influenceOf(layer)] })),
    ];
    yield* new LayerSweep(compute, folder, layers, model.config.hiddenSize).through(passes, {}, options);
    return;
  }
  const session = await compute.load(whole, folder);
  for (const { hidden, feeds } of passes) {
    const { outputs } = await session.run({ feeds: { hidden, ...feeds }, fetch: teacher.map(influenceOf) });
    yield teacher.map((layer) => outputs[influenceOf(layer)]!);
  }
  await session.release();
}
