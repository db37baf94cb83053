import type { FederatedModel } from '../model/federated-model.ts';
import type { Trunk } from '../model/programs/hidden-states.ts';
import { layerOf } from '../model/config/tensors.ts';
import { partsOf, QUANTIZED_FORMATS } from '../model/weights/quantized-formats.ts';
import type { QuantizedFormat } from '../model/weights/quantized-formats.ts';
import { UNQUANTIZED } from '../model/weights/quantized-index.ts';
import type { FloatDtype } from '../safetensors/float-formats.ts';

/** The size of one weight of a model. */
export interface WeightSize {
  readonly name: string;
  readonly values: number;
  /** Bytes on disk and in the bundle for clients. */
  readonly bytes: number;
  readonly stored: FloatDtype | QuantizedFormat;
}

/**
 * The weights that `wanted` selects by name and layer. Embedding, final norm and head have no layer (null).
 * @param trunk whose layers: the emulator's may be quantised where the teacher's are not; they count with their scales
 *   and zero points
 */
export function weightsOf(
  { weights, quantized }: Pick<FederatedModel, 'weights' | 'quantized'>,
  wanted: (name: string, layer: number | null) => boolean,
  trunk: Trunk = 'teacher',
): WeightSize[] {
  const matrices = quantized?.[trunk] ?? UNQUANTIZED;
  const stored = [...weights].map(([name, { shape, bytes, dtype }]): Named => {
    return [name, { name, values: shape.reduce((a, b) => a * b, 1), bytes, stored: dtype }];
  });
  const rounded = [...matrices].map(([name, entry]): Named => {
    const { format } = entry;
    const values = (8 * entry.values.bytes) / QUANTIZED_FORMATS[format].bits;
    const bytes = partsOf(entry).reduce((sum, part) => sum + part.bytes, 0);
    return [name, { name: entry.values.name, values, bytes, stored: format }];
  });
  return [...stored.filter(([name]) => !matrices.has(name)), ...rounded].flatMap(([name, size]) =>
    wanted(name, layerOf(name)) ? [size] : [],
  );
}

type Named = readonly [weight: string, size: WeightSize];
