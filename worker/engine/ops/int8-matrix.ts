import { ORT_DOMAIN } from '../graph/graph.ts';
import type { Value } from '../graph/graph.ts';
import { cast, mul } from './elementwise.ts';
import { nanIfNotFinite, reducedRows } from './finite-rows.ts';
import type { MatrixProduct, QuantizedMatrix } from './linear.ts';
import { gemm } from './matrix.ts';
import { split } from './shape.ts';

/** A matrix W [out, in] in 8 bits, with one scale per output: W = diag(scales)·valuesᵀ. */
export interface Int8Parts {
  /** Integers in [−127, 127], [in, out] (int8), or their contiguous rows [from, to): some inputs of all outputs. */
  readonly values: (rows?: readonly [from: number, to: number]) => Value;
  /** [out] (float32). */
  readonly scales: Value;
}

/** dx = (dy ∘ scales)·valuesᵀ. Products with float32 rows and the gradient read a float32 copy of the values. */
export function int8Matrix(parts: Int8Parts, product: MatrixProduct): QuantizedMatrix {
  const { values, scales } = parts;
  const widened = () => cast(values(), 'float32');
  return {
    product: (x) => (product === 'Int8' ? int8Product(x, parts) : mul(gemm(x, widened()), scales)),
    inputGradient: (dy) => (soFar) => gemm(mul(dy, scales), widened(), { transB: true, c: soFar }),
  };
}

/** y = Σ_b s_b ∘ (q_b·values_b) ∘ scales over the blocks b of the inputs, with x_b ≈ s_b ∘ q_b. */
function int8Product(x: Value, { values, scales }: Int8Parts): Value {
  const { graph } = x;
  const shape = [x.shape[0]!, scales.shape[0]!];
  const one = graph.number(1);
  const products = quantizedRows(x).map(({ inputs, q, s }) => {
    const operands = [q, values(inputs), one, scales, zeroPoint(x)];
    return mul(graph.apply('MatMulIntegerToFloat', operands, 'float32', shape, {}, ORT_DOMAIN), s);
  });
  return products.reduce((sum, product) => graph.apply('Add', [sum, product], 'float32', shape));
}

/** A block of the columns of x: x[:, from:to] ≈ s ∘ (q − 128). */
interface QuantizedBlock {
  readonly inputs: readonly [from: number, to: number];
  /** [rows, to − from] (uint8). */
  readonly q: Value;
  /** [rows, 1] (float32). */
  readonly s: Value;
}

/**
 * Blocks of the inputs that have their own scales. An input that is much larger than the others costs only its block's
 * precision; every block costs time. Four shift the loss of SmolLM2-135M by 0.006, of which the weights' rounding is
 * 0.002; one shifts it by 0.02. With the matrices of a 7B model, four take a sixth longer than one.
 */
const BLOCKS = 4;

/** The smallest scale: a row of zeros is not divided by zero. */
const TINY = 1e-30;

/** Rows that several matrices multiply are quantised once. */
const quantized = new WeakMap<Value, readonly QuantizedBlock[]>();

/**
 * Rounds x [rows, in] to 8 bits, symmetrically, with a scale per row and block. A row with a value that is NaN or
 * infinite becomes NaN.
 */
function quantizedRows(x: Value): readonly QuantizedBlock[] {
  const known = quantized.get(x);
  if (known) return known;
  const { graph } = x;
  const [rows, width] = x.shape as readonly [string | number, number];
  const notFinite = nanIfNotFinite(x);
  const rowCount = graph.apply('Shape', [x], 'int64', [1], { start: 0, end: 1 });
  const zeroPoints = graph.apply('Expand', [zeroPoint(x), rowCount], 'uint8', [rows]);
  const size = Math.ceil(width / BLOCKS);
  const sizes = Array.from({ length: Math.ceil(width / size) }, (_, b) => Math.min(size, width - b * size));
  const blocks = split(x, 1, sizes).map((block, b): QuantizedBlock => {
    const largest = reducedRows('ReduceMax', graph.apply('Abs', [block], 'float32', block.shape));
    const positive = graph.apply('Max', [mul(largest, 1 / 127), graph.number(TINY)], 'float32', [rows]);
    const s = graph.apply('Add', [positive, notFinite], 'float32', [rows]);
    return {
      inputs: [b * size, b * size + sizes[b]!],
      q: graph.apply('QuantizeLinear', [block, s, zeroPoints], 'uint8', block.shape, { axis: 0 }),
      s: graph.apply('Unsqueeze', [s, graph.integers(1)], 'float32', [rows, 1]),
    };
  });
  quantized.set(x, blocks);
  return blocks;
}

/** The unsigned integer that stands for 0. */
const zeroPoint = ({ graph }: Value): Value => graph.constant({ dtype: 'uint8', shape: [], data: Uint8Array.of(128) });
