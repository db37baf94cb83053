import type { Compute } from '../engine/compute.ts';
import type { Tensor } from '../engine/graph/tensor.ts';
import { placeFeeds, tokenIds } from '../model/batch-feeds.ts';
import type { TokenBatch } from '../model/batch-feeds.ts';
import { inputGroups } from '../model/config/projections.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import { layerProgram, NEXT } from '../model/programs/layer.ts';
import { projectionInputsProgram, readBy } from '../model/programs/projection-inputs.ts';
import { embed } from '../model/weights/embedding.ts';
import { weightFolder } from '../model/weights/stored-weights.ts';

/** Tokens of text on which an emulator is calibrated: as many as bench/calibration.py has. */
export const CALIBRATION_TOKENS = 8192;

/** What the projections of a layer read in the batches. */
interface LayerInputs {
  readonly layer: number;
  /**
   * For each of inputGroups the variables of the compute process that hold the rows [tokens, in] of each batch, scaled
   * to length 1. Who reads them frees them.
   */
  readonly inputs: readonly (readonly string[])[];
}

/** A batch between two layers: its states, or the variable that holds them. */
interface Pass {
  hidden: Tensor | string;
  readonly feeds: Readonly<Record<string, Tensor>>;
  readonly name: string;
}

/** Tells the variables of calibrations apart. */
let calibrations = 0;

/**
 * Runs the full model over batches of text, all batches through a layer and then through the next, and yields what the
 * projections of some layers read. Products read the weights as stored.
 * @param layers ascending
 * @throws the signal's reason on abort, between two batches
 */
export async function* calibrate(
  compute: Compute,
  { quantized: _, ...model }: FederatedModel,
  layers: readonly number[],
  batches: readonly TokenBatch[],
  signal?: AbortSignal,
): AsyncGenerator<LayerInputs, void> {
  const prefix = `calibration.${calibrations++}`;
  const passes = batches.map((batch, i): Pass => ({
    hidden: embed(model.weights, tokenIds(batch)),
    feeds: placeFeeds(batch),
    name: `${prefix}.${i}`,
  }));
  const groups = inputGroups(model.config).map(([projection]) => readBy(projection!.input));
  try {
    for (let layer = 0; layer <= layers.at(-1)!; layer++) {
      const isRead = layers.includes(layer);
      const graph = isRead
        ? projectionInputsProgram(model, layer, compute.provider)
        : layerProgram(model, layer, null, compute.provider);
      const session = await compute.load(graph, weightFolder(model));
      try {
        for (const pass of passes) {
          signal?.throwIfAborted();
          const read = isRead ? groups.map((output) => [output, `${pass.name}.${output}`]) : [];
          const keep = { [NEXT]: pass.name, ...Object.fromEntries(read) };
          await session.run({ feeds: { ...pass.feeds, hidden: pass.hidden }, fetch: [], keep });
          pass.hidden = pass.name;
        }
      } finally {
        await session.release();
      }
      if (isRead) yield { layer, inputs: groups.map((output) => passes.map(({ name }) => `${name}.${output}`)) };
    }
  } finally {
    await compute.free(...passes.map(({ name }) => name));
  }
}
