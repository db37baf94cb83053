import { ORT_DOMAIN } from '../graph/graph.ts';
import type { Contribution, Value } from '../graph/graph.ts';
import { cast, mul } from './elementwise.ts';
import { gemm } from './matrix.ts';
import { split } from './shape.ts';

/** A matrix W in 8 bits, with one scale per output: W = diag(scales)·valuesᵀ, [out, in]. */
export interface QuantizedMatrix {
  /** Integers in [−127, 127], [in, out] (int8), or their contiguous rows [from, to): some inputs of all outputs. */
  readonly values: (rows?: readonly [from: number, to: number]) => Value;
  /** [out] (float32). */
  readonly scales: Value;
  /** The kind of product by which it is multiplied, which the machine decides. */
  readonly product: MatrixProduct;
}

/** Int8 also quantises the rows that are multiplied; Float32 widens the matrix. */
export type MatrixProduct = 'Int8' | 'Float32';

/** y = x·Wᵀ for rows x [rows, in]: [rows, out]. W is a float32 matrix [out, in] or a quantised one, which is frozen. */
export function linear(x: Value, w: Value | QuantizedMatrix): Value {
  return 'values' in w ? quantizedLinear(x, w) : gemm(x, w, { transB: true });
}

/**
 * The gradient of a quantised matrix passes through the rounding of x as if it did not exist (straight-through):
 *   dx = (dy ∘ scales)·valuesᵀ
 */
function quantizedLinear(x: Value, w: QuantizedMatrix): Value {
  const build = () => (w.product === 'Int8' ? int8Product(x, w) : mul(gemm(x, cast(w.values(), 'float32')), w.scales));
  return x.graph.fused([x], build, (dy) => {
    const dx: Contribution = (soFar) =>
      gemm(mul(dy, w.scales), cast(w.values(), 'float32'), { transB: true, c: soFar });
    return [dx];
  });
}

/** y = Σ_b s_b ∘ (q_b·values_b) ∘ scales over the blocks b of the inputs, with x_b ≈ s_b ∘ q_b. */
function int8Product(x: Value, { values, scales }: QuantizedMatrix): Value {
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
 * infinite becomes NaN: the maximum alone would overlook NaN.
 */
function quantizedRows(x: Value): readonly QuantizedBlock[] {
  const known = quantized.get(x);
  if (known) return known;
  const { graph } = x;
  const [rows, width] = x.shape as readonly [string | number, number];
  const reduced = (operator: string, block: Value) =>
    graph.apply(operator, [block, graph.integers(1)], 'float32', [rows], { keepdims: 0 });
  const nanIfNotFinite = mul(reduced('ReduceL1', x), 0);
  const rowCount = graph.apply('Shape', [x], 'int64', [1], { start: 0, end: 1 });
  const zeroPoints = graph.apply('Expand', [zeroPoint(x), rowCount], 'uint8', [rows]);
  const size = Math.ceil(width / BLOCKS);
  const sizes = Array.from({ length: Math.ceil(width / size) }, (_, b) => Math.min(size, width - b * size));
  const blocks = split(x, 1, sizes).map((block, b): QuantizedBlock => {
    const largest = reduced('ReduceMax', graph.apply('Abs', [block], 'float32', block.shape));
    const positive = graph.apply('Max', [mul(largest, 1 / 127), graph.number(TINY)], 'float32', [rows]);
    const s = graph.apply('Add', [positive, nanIfNotFinite], 'float32', [rows]);
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
