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
  /** The variable that holds the states of each batch after the layer, until the next one runs. */
  readonly states: readonly string[];
}

/** The states of all batches before a layer. */
export interface LayerStates {
  readonly layer: number;
  /** Reads those of a batch, [tokens, hidden]. */
  readonly hidden: (batch: number) => Tensor;
}

export interface CalibrationOptions {
  /** Those of the layers whose inputs are wanted. The others run as if theirs were, which keeps the bits. */
  readonly wanted: readonly number[];
  /** From an earlier calibration with the same layers and batches; null begins with the texts. */
  readonly from: LayerStates | null;
  readonly signal?: AbortSignal | undefined;
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
 * projections of the wanted layers read. Products read the weights as stored.
 * @param layers ascending
 * @throws the signal's reason on abort, between two batches
 */
export async function* calibrate(
  compute: Compute,
  { quantized: _, ...model }: FederatedModel,
  layers: readonly number[],
  batches: readonly TokenBatch[],
  { wanted, from, signal }: CalibrationOptions,
): AsyncGenerator<LayerInputs, void> {
  const prefix = `calibration.${calibrations++}`;
  const passes = batches.map((batch, i): Pass => ({
    hidden: from ? from.hidden(i) : embed(model.weights, tokenIds(batch)),
    feeds: placeFeeds(batch),
    name: `${prefix}.${i}`,
  }));
  const groups = inputGroups(model.config).map(([projection]) => readBy(projection!.input));
  try {
    for (let layer = from?.layer ?? 0; layer <= wanted.at(-1)!; layer++) {
      const isWanted = wanted.includes(layer);
      const graph = layers.includes(layer)
        ? projectionInputsProgram(model, layer, compute.provider)
        : layerProgram(model, layer, null, compute.provider);
      const session = await compute.load(graph, weightFolder(model));
      try {
        for (const pass of passes) {
          signal?.throwIfAborted();
          const read = isWanted ? groups.map((output) => [output, `${pass.name}.${output}`]) : [];
          const keep = { [NEXT]: pass.name, ...Object.fromEntries(read) };
          await session.run({ feeds: { ...pass.feeds, hidden: pass.hidden }, fetch: [], keep });
          pass.hidden = pass.name;
        }
      } finally {
        await session.release();
      }
      const states = passes.map(({ name }) => name);
      if (isWanted) yield { layer, inputs: groups.map((output) => states.map((name) => `${name}.${output}`)), states };
    }
  } finally {
    await compute.free(...passes.map(({ name }) => name));
  }
}
