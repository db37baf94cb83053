import { matrixProduct } from '../engine/matrix-product.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import { plannedQuantized } from '../model/weights/quantized-index.ts';

/** A model as `emulator.weights: Int8` holds it, before its emulator is quantised. */
export function withPlannedQuantized(model: FederatedModel): FederatedModel {
  const index = plannedQuantized(model.config, model.split.emulator);
  return { ...model, quantized: { index, product: matrixProduct('cpu'), passes: 'Emulator' } };
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
  const index = plannedQuantized(model.config, [...front, ...teacher, ...tail]);
  return { ...model, computeWeights: { index, product: matrixProduct('cpu'), passes: 'All' } };
}
