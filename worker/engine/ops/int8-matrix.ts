import { ORT_DOMAIN } from '../graph/graph.ts';
import type { Graph, Value } from '../graph/graph.ts';
import type { Shape } from '../graph/tensor.ts';
import { cast, mul, sub } from './elementwise.ts';
import { nanIfNotFinite, reducedRows } from './finite-rows.ts';
import type { MatrixProduct, QuantizedMatrix } from './linear.ts';
import { gemm } from './matrix.ts';
import { concat, split } from './shape.ts';

/** A matrix W [out, in] in 8 bits, with one scale per output: W = diag(scales)·valuesᵀ. */
export interface Int8Parts {
  /** Integers in [−127, 127], [in, out] (int8), or their contiguous rows [from, to): some inputs of all outputs. */
  readonly values: (rows?: readonly [from: number, to: number]) => Value;
  /** [out] (float32). */
  readonly scales: Value;
  /** Of a graph that multiplies single rows: zeroPointTerms of the values. */
  readonly terms?: Value;
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
function int8Product(x: Value, parts: Int8Parts): Value {
  const { graph } = x;
  const shape = [x.shape[0]!, parts.scales.shape[0]!];
  const blocks = quantizedRows(x);
  const each = blocks.map(() => 1);
  const terms = parts.terms && split(parts.terms, 0, each);
  const products = blocks.map((block, b) => mul(blockProduct(block, parts, terms?.[b], shape), block.s));
  return products.reduce((sum, product) => graph.apply('Add', [sum, product], 'float32', shape));
}

/**
 * (q·values) ∘ scales for a block of the inputs, [rows, out]. ONNX Runtime packs the values at each product, which
 * takes as long as the product of a single row. Its kernel for a single row reads them in place, but only for
 * MatMulInteger without a zero point; what the zero point adds is then subtracted. The integers are the same, and so
 * are the bits.
 */
function blockProduct(
  { inputs, q }: QuantizedBlock,
  { values, scales }: Int8Parts,
  term: Value | undefined,
  shape: Shape,
): Value {
  const { graph } = q;
  if (!term) {
    const operands = [q, values(inputs), graph.number(1), scales, zeroPoint(graph)];
    return graph.apply('MatMulIntegerToFloat', operands, 'float32', shape, {}, ORT_DOMAIN);
  }
  const product = graph.apply('MatMulInteger', [q, values(inputs)], 'int32', shape);
  return mul(cast(sub(product, term), 'float32'), scales);
}

/**
 * What the zero point of x adds to each product without one, for each block of the inputs: ZERO_POINT times the sums of
 * the block's values, [blocks, out] (int32). It does not depend on x.
 */
export function zeroPointTerms(values: Int8Parts['values'], inputs: number): Value {
  const terms = blocksOf(inputs).map((rows) => {
    const block = values(rows);
    const [size, outputs] = block.shape as readonly [number, number];
    const zeros = block.graph.constant({
      dtype: 'uint8',
      shape: [1, size],
      data: new Uint8Array(size).fill(ZERO_POINT),
    });
    return block.graph.apply('MatMulInteger', [zeros, block], 'int32', [1, outputs]);
  });
  return concat(terms, 0);
}

/** The shape of the terms of values [in, out]. */
export const termsShape = ([inputs, outputs]: readonly number[]): Shape => [blocksOf(inputs!).length, outputs!];

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
export const INT8_BLOCKS = 4;

/** The inputs of each block. */
function blocksOf(inputs: number): (readonly [from: number, to: number])[] {
  const size = Math.ceil(inputs / INT8_BLOCKS);
  return Array.from({ length: Math.ceil(inputs / size) }, (_, b) => [b * size, Math.min((b + 1) * size, inputs)]);
}

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
  const zeroPoints = graph.apply('Expand', [zeroPoint(graph), rowCount], 'uint8', [rows]);
  const places = blocksOf(width);
  const sizes = places.map(([from, to]) => to - from);
  const blocks = split(x, 1, sizes).map((block, b): QuantizedBlock => {
    const largest = reducedRows('ReduceMax', graph.apply('Abs', [block], 'float32', block.shape));
    const positive = graph.apply('Max', [mul(largest, 1 / 127), graph.number(TINY)], 'float32', [rows]);
    const s = graph.apply('Add', [positive, notFinite], 'float32', [rows]);
    return {
      inputs: places[b]!,
      q: graph.apply('QuantizeLinear', [block, s, zeroPoints], 'uint8', block.shape, { axis: 0 }),
      s: graph.apply('Unsqueeze', [s, graph.integers(1)], 'float32', [rows, 1]),
    };
  });
  quantized.set(x, blocks);
  return blocks;
}

/** The unsigned integer that stands for 0. */
const ZERO_POINT = 128;

const zeroPoint = (graph: Graph): Value =>
  graph.constant({ dtype: 'uint8', shape: [], data: Uint8Array.of(ZERO_POINT) });
