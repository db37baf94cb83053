import type { DecoderConfig } from '../config/config.ts';
import type { MatrixProduct } from '../../engine/ops/linear.ts';
import { UserError } from '../../../crds/facts/user-error.ts';
import { tensorBytes } from '../../safetensors/header.ts';
import { readSafetensorsHeader, readTensor } from '../../safetensors/safetensors.ts';
import type { TensorEntry } from '../../safetensors/safetensors.ts';
import { mapParts, partsOf, quantizedProjections } from './quantized-formats.ts';
import type { MatrixParts, QuantizedFormat, QuantizedShape } from './quantized-formats.ts';

/** A quantised projection's tensors in their file. */
export interface QuantizedEntry extends MatrixParts<QuantizedTensor> {
  readonly format: QuantizedFormat;
}

export interface QuantizedTensor extends TensorEntry {
  readonly name: string;
  /** Absolute path. */
  readonly file: string;
}

/** Quantised projections by the names of the weights that they replace. */
export type QuantizedIndex = ReadonlyMap<string, QuantizedEntry>;

/** All tensors of quantised projections, in their order. */
export function tensorsOf(index: QuantizedIndex): QuantizedTensor[] {
  return [...index.values()].flatMap(partsOf);
}

/** The format of quantised projections; undefined if there are none. */
export function formatOf(index: QuantizedIndex): QuantizedFormat | undefined {
  return index.values().next().value?.format;
}

/** Quantised projections that passes multiply by, and how this machine does. */
export interface QuantizedWeights {
  /** Those of passes with the emulator's layers. */
  readonly emulator: QuantizedIndex;
  /** Those of passes with the teacher's. */
  readonly teacher: QuantizedIndex;
  readonly product: MatrixProduct;
}

/** No projections. */
export const UNQUANTIZED: QuantizedIndex = new Map();

/**
 * Finds the quantised projections of the given layers in a *.safetensors file, and checks their scales.
 * @throws UserError if the format cannot hold the model's, the file is broken, a tensor is missing or has another dtype
 *   or shape, or a scale is not finite and positive
 */
export function indexQuantized(
  file: string,
  format: QuantizedFormat,
  config: DecoderConfig,
  layers: readonly number[],
): QuantizedIndex {
  const { tensors } = readSafetensorsHeader(file);
  const refused = (message: string) =>
    new UserError(message, { hint: 'Server and clients must run the same version, and the same job.' });
  const found = ({ name, dtype, shape }: QuantizedShape): QuantizedTensor => {
    const entry = tensors.get(name);
    if (entry?.dtype === dtype && String(entry.shape) === String(shape)) return { ...entry, name, file };
    const instead = entry === undefined ? 'it is missing' : `it is ${entry.dtype} [${entry.shape.join(', ')}]`;
    throw refused(`${file} must hold ${name} as ${dtype} [${shape.join(', ')}], but ${instead}`);
  };
  return new Map(
    quantizedProjections(format, config, layers).map(({ weight, parts }) => {
      const entry = { format, ...mapParts(parts, found) };
      const wrong = readTensor(file, entry.scales).find((scale) => !(scale > 0 && scale < Infinity));
      if (wrong !== undefined) throw refused(`${entry.scales.name} in ${file} holds the scale ${wrong}`);
      return [weight, entry];
    }),
  );
}

/**
 * The same index before the file is written: names and sizes, in no file.
 * @throws UserError if the format cannot hold the model's projections
 */
export function plannedQuantized(
  format: QuantizedFormat,
  config: DecoderConfig,
  layers: readonly number[],
): QuantizedIndex {
  const planned = ({ name, dtype, shape }: QuantizedShape): QuantizedTensor => ({
    name,
    file: '',
    dtype,
    shape,
    offset: 0,
    bytes: tensorBytes(dtype, shape),
  });
  return new Map(
    quantizedProjections(format, config, layers).map(({ weight, parts }) => [
      weight,
      { format, ...mapParts(parts, planned) },
    ]),
  );
}
