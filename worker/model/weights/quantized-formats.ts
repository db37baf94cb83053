import { UserError } from '../../../crds/facts/user-error.ts';
import type { SafetensorsDtype } from '../../safetensors/header.ts';
import type { DecoderConfig } from '../config/config.ts';
import { projections } from '../config/projections.ts';
import type { DecoderProjection } from '../config/projections.ts';
import { projectionWeight } from '../config/tensors.ts';
import { INT4_BLOCK } from './int4-matrix.ts';

/** The tensors of a quantised matrix, or something of each. Only a format with zero points has them. */
export interface MatrixParts<T> {
  readonly values: T;
  readonly scales: T;
  readonly zeroPoints?: T;
}

/** A tensor that replaces a weight, together with others. */
export interface QuantizedShape {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
}

interface Format {
  readonly bits: number;
  /** Ends the name of the folder with a file of such matrices. */
  readonly folderSuffix: string;
  /** The inputs of a matrix must be a multiple of it. */
  readonly inputs: number;
  /** Says in a file's metadata what its tensors mean. */
  readonly meaning: string;
  /** The tensors of a weight [out, in]. */
  readonly parts: (weight: string, size: Pick<DecoderProjection, 'in' | 'out'>) => MatrixParts<QuantizedShape>;
}

/** How the projections of a layer are held in fewer bits. */
export const QUANTIZED_FORMATS = {
  Int8: {
    bits: 8,
    folderSuffix: '-int8',
    inputs: 1,
    meaning: 'int8, symmetric per output: W[o, i] = W_scale[o] * W_int8[i, o]',
    parts: (weight, { in: inputs, out }) => ({
      values: { name: `${weight}_int8`, dtype: 'I8', shape: [inputs, out] },
      scales: { name: `${weight}_scale`, dtype: 'F32', shape: [out] },
    }),
  },
  Int4: {
    bits: 4,
    folderSuffix: '-int4',
    // Zero points are packed in pairs; rows of pairs begin at whole bytes.
    inputs: 2 * INT4_BLOCK,
    meaning:
      'int4 in blocks of 32 inputs: W[o, i] = W_scale[o, i/32] * (W_int4[o, i] - W_zero[o, i/32]), two in a byte, the first in the lower half',
    parts: (weight, { in: inputs, out }) => ({
      values: { name: `${weight}_int4`, dtype: 'U8', shape: [out, inputs / INT4_BLOCK, INT4_BLOCK / 2] },
      scales: { name: `${weight}_scale`, dtype: 'F32', shape: [out, inputs / INT4_BLOCK] },
      zeroPoints: { name: `${weight}_zero`, dtype: 'U8', shape: [out, inputs / (2 * INT4_BLOCK)] },
    }),
  },
} as const satisfies Record<string, Format>;

export type QuantizedFormat = keyof typeof QUANTIZED_FORMATS;

/** A projection in a format: the name of the weight, and the tensors that replace it. */
export interface QuantizedProjection {
  readonly weight: string;
  readonly parts: MatrixParts<QuantizedShape>;
}

/**
 * All projections of some layers in a format.
 * @throws UserError if the format cannot hold one of them
 */
export function quantizedProjections(
  format: QuantizedFormat,
  config: DecoderConfig,
  layers: readonly number[],
): QuantizedProjection[] {
  const unfit = unfitProjection(format, config);
  if (unfit)
    throw new UserError(
      `${format} holds matrices whose inputs are a multiple of ${QUANTIZED_FORMATS[format].inputs}, but ${unfit.name} has ${unfit.in}`,
      { hint: 'Set emulator.weights to Int8 or AsStored.' },
    );
  return layers.flatMap((layer) =>
    projections(config).map((projection) => {
      const weight = projectionWeight(layer, projection);
      return { weight, parts: QUANTIZED_FORMATS[format].parts(weight, projection) };
    }),
  );
}

/** Whether a format can hold a model's projections. */
export function holdsProjections(format: QuantizedFormat, config: DecoderConfig): boolean {
  return unfitProjection(format, config) === undefined;
}

function unfitProjection(format: QuantizedFormat, config: DecoderConfig): DecoderProjection | undefined {
  return projections(config).find((projection) => projection.in % QUANTIZED_FORMATS[format].inputs !== 0);
}

/** The parts of a matrix in order. */
export function partsOf<T>({ values, scales, zeroPoints }: MatrixParts<T>): T[] {
  return zeroPoints === undefined ? [values, scales] : [values, scales, zeroPoints];
}

/** Something of each part. */
export function mapParts<T, U>({ values, scales, zeroPoints }: MatrixParts<T>, map: (part: T) => U): MatrixParts<U> {
  const both = { values: map(values), scales: map(scales) };
  return zeroPoints === undefined ? both : { ...both, zeroPoints: map(zeroPoints) };
}
