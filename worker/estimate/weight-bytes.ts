import type { FederatedModel } from '../model/federated-model.ts';
import { layerOf } from '../model/config/tensors.ts';
import type { FloatDtype } from '../safetensors/float-formats.ts';

/** One weight of a model, as far as its size goes. */
export interface WeightSize {
  readonly name: string;
  readonly values: number;
  /** Bytes on disk, and on the way to a client. */
  readonly bytes: number;
  readonly stored: FloatDtype;
}

/** The weights that `wanted` picks by name and layer; embedding, final norm and head are of no layer (null). */
export function weightsOf(
  { weights }: Pick<FederatedModel, 'weights'>,
  wanted: (name: string, layer: number | null) => boolean,
): WeightSize[] {
  return [...weights].flatMap(([name, { shape, bytes, dtype }]) => {
    if (!wanted(name, layerOf(name))) return [];
    return [{ name, values: shape.reduce((a, b) => a * b, 1), bytes, stored: dtype }];
  });
}
