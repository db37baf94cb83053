import type { FederatedModel } from '../model/federated-model.ts';
import { layerOf } from '../model/config/tensors.ts';
import type { FloatDtype } from '../safetensors/float-formats.ts';

/** The size of one weight of a model. */
export interface WeightSize {
  readonly name: string;
  readonly values: number;
  /** Bytes on disk and in the bundle for clients. */
  readonly bytes: number;
  readonly stored: FloatDtype;
}

/** The weights that `wanted` selects by name and layer. Embedding, final norm and head have no layer (null). */
export function weightsOf(
  { weights }: Pick<FederatedModel, 'weights'>,
  wanted: (name: string, layer: number | null) => boolean,
): WeightSize[] {
  return [...weights].flatMap(([name, { shape, bytes, dtype }]) => {
    if (!wanted(name, layerOf(name))) return [];
    return [{ name, values: shape.reduce((a, b) => a * b, 1), bytes, stored: dtype }];
  });
}
