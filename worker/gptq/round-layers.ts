import type { Compute } from '../engine/compute.ts';
import { UserError } from '../../crds/facts/user-error.ts';
import { calibrate } from '../inference/calibration.ts';
import type { TokenBatch } from '../model/batch-feeds.ts';
import { inputGroups } from '../model/config/projections.ts';
import { projectionWeight } from '../model/config/tensors.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import { readFloatRows } from '../model/float-rows.ts';
import type { Int4Matrix } from '../model/weights/int4-matrix.ts';
import { factorMoments, freeFactor } from './factor.ts';
import { KeptStates } from './kept-states.ts';
import { Products } from './products.ts';
import { roundMatrix } from './round-matrix.ts';

/** A projection in 4 bits. */
interface RoundedProjection {
  /** The name of its weight. */
  readonly weight: string;
  readonly matrix: Int4Matrix;
}

interface RoundLayersOptions {
  /** Those of the layers that are not yet rounded. */
  readonly left: readonly number[];
  /** The file of the states between two layers. */
  readonly states: string;
  readonly signal?: AbortSignal;
}

/**
 * Rounds the projections of some layers to 4 bits by GPTQ, for what the full model's projections read in the batches,
 * and yields them in the order of the layers and of their projections. Memory holds what one layer's projections read,
 * and one matrix with the factor of its moments. Who takes the first matrix of a layer has kept all of the layer before
 * it: the states between the two are then written, and a rounding of the layers that are left goes on with them.
 * @param layers ascending
 * @throws UserError if the inputs of a layer are not finite, or the states cannot be written; the signal's reason on
 *   abort
 */
export async function* roundLayers(
  compute: Compute,
  model: FederatedModel,
  layers: readonly number[],
  batches: readonly TokenBatch[],
  { left, states: file, signal }: RoundLayersOptions,
): AsyncGenerator<RoundedProjection, void> {
  const products = new Products(compute);
  const { hiddenSize } = model.config;
  const kept = new KeptStates(
    file,
    batches.map(({ tokens }) => [tokens, hiddenSize]),
  );
  const before = kept.read();
  const from = before && before.layer <= left[0]! ? before : null;
  try {
    const calibration = calibrate(compute, model, layers, batches, { wanted: left, from, signal });
    for await (const { layer, inputs, states } of calibration) {
      for (const [i, group] of inputGroups(model.config).entries()) {
        const parts = inputs[i]!.map((variable, batch) => ({ variable, rows: batches[batch]!.tokens }));
        const factor = await factorMoments(products, parts);
        if (factor === null)
          throw notFinite(
            layer,
            group.map(({ name }) => name),
          );
        for (const projection of group) {
          const weight = projectionWeight(layer, projection);
          const entry = model.weights.get(weight)!;
          yield { weight, matrix: await roundMatrix(products, readFloatRows(entry), entry.shape[0]!, factor, signal) };
        }
        await freeFactor(products, factor);
      }
      if (layer < left.at(-1)!) await kept.write(compute, layer + 1, states, signal);
    }
  } finally {
    await products.release();
  }
}

const notFinite = (layer: number, names: readonly string[]) =>
  new UserError(`on public data, ${names.join(', ')} of layer ${layer} read values that are NaN or infinite`, {
    hint: 'Check the model’s weights and data.public, or set emulator.weights: AsStored.',
  });
