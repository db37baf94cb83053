import { matrixProduct } from '../engine/matrix-product.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import { plannedQuantized } from '../model/weights/quantized-index.ts';

/** A model as `emulator.weights: Int8` holds it, before its emulator is quantised. */
export function withPlannedQuantized(model: FederatedModel): FederatedModel {
  const index = plannedQuantized(model.config, model.split.emulator);
  return { ...model, quantized: { index, product: matrixProduct('cpu') } };
}
