import type { Value } from '../../engine/graph/graph.ts';
import type { DType } from '../../engine/graph/tensor.ts';
import { int4Matrix } from '../../engine/ops/int4-matrix.ts';
import { int8Matrix, zeroPointTerms } from '../../engine/ops/int8-matrix.ts';
import type { MatrixProduct, QuantizedMatrix } from '../../engine/ops/linear.ts';
import type { QuantizedEntry, QuantizedTensor } from './quantized-index.ts';

export type Rows = readonly [from: number, to: number];

/** Reads a tensor, or contiguous rows of it, in place. */
type Placed = (tensor: QuantizedTensor, dtype: DType, rows?: Rows) => Value;

/**
 * The matrix of a quantised projection in a graph.
 * @param terms of a matrix in 8 bits that single rows multiply: what `termsOfMatrix` computes
 */
export function quantizedMatrix(
  entry: QuantizedEntry,
  product: MatrixProduct,
  placed: Placed,
  terms?: Value,
): QuantizedMatrix {
  const { values, zeroPoints } = entry;
  const scales = placed(entry.scales, 'float32');
  switch (entry.format) {
    case 'Int8':
      return int8Matrix({ values: (rows) => placed(values, 'int8', rows), scales, ...(terms && { terms }) }, product);
    case 'Int4': {
      const inHalves = (tensor: QuantizedTensor) => (as: 'uint8' | 'uint4') =>
        as === 'uint8' ? placed(tensor, as) : placed(inNumbers(tensor), as);
      return int4Matrix({ values: inHalves(values), scales, zeroPoints: inHalves(zeroPoints!) }, product);
    }
  }
}

/** The zero-point terms of a quantised projection in 8 bits, [blocks, out] (int32). */
export function termsOfMatrix({ values }: QuantizedEntry, placed: Placed): Value {
  return zeroPointTerms((rows) => placed(values, 'int8', rows), values.shape[0]!);
}

/** Rows of bytes as rows of numbers of 4 bits. */
function inNumbers(tensor: QuantizedTensor): QuantizedTensor {
  const [rows] = tensor.shape as readonly [number];
  return { ...tensor, name: `${tensor.name} in numbers`, shape: [rows, (2 * tensor.bytes) / rows] };
}
