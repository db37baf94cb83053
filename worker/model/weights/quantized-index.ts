import type { DecoderConfig } from '../config/config.ts';
import { quantizedTensors } from '../config/tensors.ts';
import type { NamedShape } from '../config/tensors.ts';
import type { MatrixProduct } from '../../engine/ops/linear.ts';
import { UserError } from '../../../crds/facts/user-error.ts';
import { tensorBytes } from '../../safetensors/header.ts';
import { readSafetensorsHeader, readTensor } from '../../safetensors/safetensors.ts';
import type { SafetensorsDtype, TensorEntry } from '../../safetensors/safetensors.ts';

/** A quantised projection's tensors in their file. */
export interface QuantizedEntry {
  /** [in, out], I8. */
  readonly values: QuantizedTensor;
  /** [out], F32. */
  readonly scales: QuantizedTensor;
}

export interface QuantizedTensor extends TensorEntry {
  readonly name: string;
  /** Absolute path. */
  readonly file: string;
}

/** Quantised projections by the names of the weights that they replace. */
export type QuantizedIndex = ReadonlyMap<string, QuantizedEntry>;

/** All tensors of quantised projections, in their order; none if nothing is quantised. */
export function tensorsOf(quantized: QuantizedWeights | undefined): QuantizedTensor[] {
  return [...(quantized?.index.values() ?? [])].flatMap(({ values, scales }) => [values, scales]);
}

/** Projections in 8 bits, and how they are multiplied on this machine. */
export interface QuantizedWeights {
  readonly index: QuantizedIndex;
  readonly product: MatrixProduct;
  /** The passes that multiply by them: those with the emulator's layers instead of the teacher's, or all. */
  readonly passes: 'Emulator' | 'All';
}

/**
 * Finds the quantised projections of the given layers in a *.safetensors file, and checks their scales.
 * @throws UserError if the file is broken, a tensor is missing or has another dtype or shape, or a scale is not finite
 *   and positive
 */
export function indexQuantized(file: string, config: DecoderConfig, layers: readonly number[]): QuantizedIndex {
  const { tensors } = readSafetensorsHeader(file);
  const refused = (message: string) =>
    new UserError(message, { hint: 'Server and clients must run the same version, and the same job.' });
  const found = ({ name, shape }: NamedShape, dtype: SafetensorsDtype): QuantizedTensor => {
    const entry = tensors.get(name);
    if (entry?.dtype === dtype && String(entry.shape) === String(shape)) return { ...entry, name, file };
    const instead = entry === undefined ? 'it is missing' : `it is ${entry.dtype} [${entry.shape.join(', ')}]`;
    throw refused(`${file} must hold ${name} as ${dtype} [${shape.join(', ')}], but ${instead}`);
  };
  return new Map(
    quantizedTensors(config, layers).map(({ weight, ...tensors }) => {
      const entry = { values: found(tensors.values, 'I8'), scales: found(tensors.scales, 'F32') };
      const wrong = readTensor(file, entry.scales).find((scale) => !(scale > 0 && scale < Infinity));
      if (wrong !== undefined) throw refused(`${entry.scales.name} in ${file} holds the scale ${wrong}`);
      return [weight, entry];
    }),
  );
}

/** The same index before the file is written: names and sizes, in no file. */
export function plannedQuantized(config: DecoderConfig, layers: readonly number[]): QuantizedIndex {
  const planned = ({ name, shape }: NamedShape, dtype: SafetensorsDtype): QuantizedTensor => ({
    name,
    file: '',
    dtype,
    shape,
    offset: 0,
    bytes: tensorBytes(dtype, shape),
  });
  return new Map(
    quantizedTensors(config, layers).map(({ weight, values, scales }) => [
      weight,
      { values: planned(values, 'I8'), scales: planned(scales, 'F32') },
    ]),
  );
}
