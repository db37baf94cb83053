import { matrixProduct } from '../engine/matrix-product.ts';
import { withQuantizedEmulator } from '../model/federated-model.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import type { QuantizedFormat } from '../model/weights/quantized-formats.ts';
import { plannedQuantized } from '../model/weights/quantized-index.ts';

/**
 * A model as `emulator.weights` holds it in a format, before its emulator is quantised.
 * @throws UserError if the format cannot hold its projections
 */
export function withPlannedQuantized(model: FederatedModel, format: QuantizedFormat): FederatedModel {
  const index = plannedQuantized(format, model.config, model.split.emulator);
  return withQuantizedEmulator(model, index, matrixProduct('cpu'));
}

/**
 * Whether compute weights in 8 bits may need less memory: not if they are, or if products widen them as they would
 * others.
 */
export function computesLessInInt8({ computeWeights }: FederatedModel): boolean {
  return !computeWeights && matrixProduct('cpu') === 'Int8';
}

/** The same with `model.computeWeights: Int8`. */
export function withPlannedComputeWeights(model: FederatedModel): FederatedModel {
  const { front, teacher, tail } = model.split;
  const index = plannedQuantized('Int8', model.config, [...front, ...teacher, ...tail]);
  return { ...model, computeWeights: { index, product: matrixProduct('cpu') } };
}
