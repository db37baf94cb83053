import type { Contribution, Value } from '../graph/graph.ts';
import { gemm } from './matrix.ts';

/** A frozen matrix W [out, in] in fewer bits. */
export interface QuantizedMatrix {
  /** y = x·Wᵀ for rows x [rows, in]: [rows, out]. */
  readonly product: (x: Value) => Value;
  /** Its gradient dx = dy·W for dy [rows, out], as if x were not rounded (straight-through). */
  readonly inputGradient: (dy: Value) => Contribution;
}

/** How rows are multiplied by a quantised matrix: rounded to 8 bits as well, or in float32. */
export type MatrixProduct = 'Int8' | 'Float32';

/** y = x·Wᵀ for rows x [rows, in]: [rows, out]. W is a float32 matrix [out, in] or a quantised one, which is frozen. */
export function linear(x: Value, w: Value | QuantizedMatrix): Value {
  return 'product' in w
    ? x.graph.fused(
        [x],
        () => w.product(x),
        (dy) => [w.inputGradient(dy)],
      )
    : gemm(x, w, { transB: true });
}
