import { ORT_DOMAIN } from '../graph/graph.ts';
import type { Value } from '../graph/graph.ts';
import { nanIfNotFinite } from './finite-rows.ts';
import type { MatrixProduct, QuantizedMatrix } from './linear.ts';
import { gemm } from './matrix.ts';

/** Inputs of an output whose weights share a scale and a zero point. */
export const INT4_BLOCK = 32;

/**
 * A matrix W [out, in] in 4 bits: a weight is scale·(level − zero point). Two levels, or zero points, are in a byte,
 * the first in its lower half. The same bytes are tensors of two types.
 */
export interface Int4Parts {
  /** Levels: [out, in/32, 16] (uint8) or [out, in] (uint4). */
  readonly values: (as: 'uint8' | 'uint4') => Value;
  /** [out, in/32] (float32). */
  readonly scales: Value;
  /** [out, in/64] (uint8) or [out, in/32] (uint4). */
  readonly zeroPoints: (as: 'uint8' | 'uint4') => Value;
}

/** dx = dy·W. The gradient reads a float32 copy of W. */
export function int4Matrix(parts: Int4Parts, product: MatrixProduct): QuantizedMatrix {
  return {
    product: (x) => (product === 'Int8' ? finiteOrNan(x, int4Product(x, parts, 4)) : int4Product(x, parts, 1)),
    inputGradient: (dy) => (soFar) => gemm(dy, widened(parts), { c: soFar }),
  };
}

/**
 * y = x·Wᵀ by ONNX Runtime's own operator, for packed matrices.
 * @param accuracy its name of the rows' type: 1 is float32, 4 is 8 bits with a scale per row and block of 32 inputs.
 *   With a matrix of 4096 inputs and outputs and AVX-512 VNNI, 8 bits take 0.80 of the time of a float32 matrix for 256
 *   rows, and 0.10 for one row; float32 rows take 0.91 and 0.37. Not packed, it takes 2.5 and 36 times as long as a
 *   float32 matrix, and ignores the accuracy.
 */
function int4Product(x: Value, { values, scales, zeroPoints }: Int4Parts, accuracy: 1 | 4): Value {
  const levels = values('uint8');
  const [rows, inputs] = x.shape as readonly [string | number, number];
  const [outputs] = levels.shape as readonly [number];
  return x.graph.apply(
    'MatMulNBits',
    [x, levels, scales, zeroPoints('uint8')],
    'float32',
    [rows, outputs],
    { K: inputs, N: outputs, bits: 4, block_size: INT4_BLOCK, accuracy_level: accuracy },
    ORT_DOMAIN,
  );
}

/** y, or NaN in rows where x has NaN, which the rounding of x to 8 bits overlooks. */
function finiteOrNan(x: Value, y: Value): Value {
  const { graph } = x;
  const [rows] = x.shape as readonly [string | number];
  const column = graph.apply('Unsqueeze', [nanIfNotFinite(x), graph.integers(1)], 'float32', [rows, 1]);
  return graph.apply('Add', [y, column], 'float32', y.shape);
}

/** W in float32. */
function widened({ values, scales, zeroPoints }: Int4Parts): Value {
  const levels = values('uint4');
  const operands = [levels, scales, zeroPoints('uint4')];
  const blocks = { axis: 1, block_size: INT4_BLOCK };
  return levels.graph.apply('DequantizeLinear', operands, 'float32', levels.shape, blocks);
}
