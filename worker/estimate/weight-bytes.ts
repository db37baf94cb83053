import type { FederatedModel } from '../model/federated-model.ts';
import type { Trunk } from '../model/programs/hidden-states.ts';
import { layerOf } from '../model/config/tensors.ts';
import type { FloatDtype } from '../safetensors/float-formats.ts';

/** The size of one weight of a model. */
export interface WeightSize {
  readonly name: string;
  readonly values: number;
  /** Bytes on disk and in the bundle for clients. */
  readonly bytes: number;
  readonly stored: FloatDtype | 'I8';
}

/**
 * The weights that `wanted` selects by name and layer. Embedding, final norm and head have no layer (null).
 * @param trunk whose layers: the emulator's may be quantised where the teacher's are not; they count with their scales
 */
export function weightsOf(
  { weights, quantized }: Pick<FederatedModel, 'weights' | 'quantized'>,
  wanted: (name: string, layer: number | null) => boolean,
  trunk: Trunk = 'teacher',
): WeightSize[] {
  const matrices = trunk === 'emulator' || quantized?.passes === 'All' ? quantized?.index : undefined;
  const stored = [...weights].map(([name, entry]): Named => [name, { name, ...sizeOf(entry), stored: entry.dtype }]);
  const inBytes = [...(matrices ?? [])].map(([name, { values, scales }]): Named => {
    const { values: count, bytes } = sizeOf(values);
    return [name, { name: values.name, values: count, bytes: bytes + scales.bytes, stored: 'I8' }];
  });
  return [...stored.filter(([name]) => !matrices?.has(name)), ...inBytes].flatMap(([name, size]) =>
    wanted(name, layerOf(name)) ? [size] : [],
  );
}

type Named = readonly [weight: string, size: WeightSize];

function sizeOf({ shape, bytes }: { readonly shape: readonly number[]; readonly bytes: number }) {
  return { values: shape.reduce((a, b) => a * b, 1), bytes };
}
