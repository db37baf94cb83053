import type { Compute } from '../engine/compute.ts';
import { float32 } from '../engine/graph/tensor.ts';
import { placeFeeds, tokenIds } from '../model/batch-feeds.ts';
import type { TokenBatch } from '../model/batch-feeds.ts';
import { embed } from '../model/weights/embedding.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import { influenceOf, influenceProgram } from '../model/programs/influence.ts';
import { weightFolder } from '../model/weights/stored-weights.ts';

/**
 * The influence of each teacher layer, in order: the mean over the batches' tokens of 1 − cos(input, output). The first
 * token of a text is left out: it is an attention sink whose norm and direction say nothing about the rest.
 */
export async function layerInfluence(
  compute: Compute,
  model: FederatedModel,
  batches: readonly TokenBatch[],
): Promise<number[]> {
  const session = await compute.load(influenceProgram(model), weightFolder(model.weights));
  const { teacher } = model.split;
  const total = batches.reduce((sum, { tokens, rows }) => sum + tokens - rows, 0);
  const influence = teacher.map(() => 0);
  for (const batch of batches) {
    const weights = [...batch.lengths].flatMap((length) => Array.from({ length }, (_, i) => (i === 0 ? 0 : 1 / total)));
    const { outputs } = await session.run({
      feeds: {
        hidden: embed(model.weights, tokenIds(batch)),
        ...placeFeeds(batch),
        tokenWeights: float32(Float32Array.from(weights)),
      },
      fetch: teacher.map(influenceOf),
    });
    teacher.forEach((layer, i) => (influence[i]! += Number(outputs[influenceOf(layer)]!.data[0])));
  }
  await session.release();
  return influence;
}
