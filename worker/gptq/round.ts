import { float32 } from '../engine/graph/tensor.ts';
import { INT4_BLOCK, INT4_TOP } from '../model/weights/int4-matrix.ts';
import { nearestInteger } from '../model/nearest-integer.ts';
import type { Factor, Panel } from './factor.ts';
import type { Grid } from './grid.ts';
import type { Products, Range } from './products.ts';

/** Tells the variables of matrices apart. */
let matrices = 0;

/**
 * Rounds the columns of W [out, in] one after the other, each to make up for the errors E of those before it:
 *   column k = nearest(W[:, k] + E[:, :k]·U[:k, k]), E = W − rounded,
 * which is GPTQ (arXiv 2210.17323) without an inverse: the LDLQ of QuIP (arXiv 2307.13304, theorem 6).
 * @param weights [out, in], with the inputs in the factor's order: a block of columns is read as it lies in memory
 * @param grid of the inputs in their own order
 * @param width columns that are rounded between two products; it divides the width of the panels
 * @returns levels [out, in], from 0 to 15, in the factor's order
 */
export async function roundColumns(
  products: Products,
  weights: Float32Array,
  grid: Grid,
  factor: Factor,
  { width, signal }: { width: number; signal?: AbortSignal | undefined },
): Promise<Uint8Array> {
  const { compute } = products;
  const { order, panels } = factor;
  const outputs = weights.length / order.length;
  const matrix: Matrix = { weights, grid, order, levels: new Uint8Array(weights.length) };
  const name = `gptq.matrix.${matrices++}`;
  const sum = `${name}.sum`;
  const rounded: string[] = [];
  for (const panel of panels) {
    signal?.throwIfAborted();
    for (const [i, { from, to }] of panels.slice(0, rounded.length).entries())
      await products.multiply(rounded[i]!, panel.variable, [from, to], sum, i > 0);
    const parts: string[] = [];
    for (let from = panel.from; from < panel.to; from += width) {
      const to = Math.min(from + width, panel.to);
      const hasSum = rounded.length + parts.length > 0;
      const added = hasSum ? await products.columns(sum, [from - panel.from, to - panel.from]) : null;
      const errors = roundBlock(matrix, panel, [from, to], added);
      const part = `${name}.${from}`;
      await compute.write(part, float32(errors, [outputs, to - from]));
      parts.push(part);
      if (to < panel.to) await products.multiply(part, panel.variable, [from, to], sum, hasSum);
    }
    const joined = `${name}.panel.${panel.from}`;
    await products.join(parts, joined);
    rounded.push(joined);
  }
  await compute.free(sum, ...rounded);
  return matrix.levels;
}

interface Matrix {
  readonly weights: Float32Array;
  readonly grid: Grid;
  readonly order: Int32Array;
  /** [out, in], filled as columns are rounded. */
  readonly levels: Uint8Array;
}

/**
 * Rounds a few columns of a panel, row by row.
 * @param added [out, columns]: what the errors of earlier columns add to them; null: nothing
 * @returns their errors, [out, columns]
 */
function roundBlock(
  { weights, grid: { scales, zeros }, order, levels }: Matrix,
  panel: Panel,
  [from, to]: Range,
  added: Float32Array | null,
): Float32Array {
  const width = to - from;
  const inputs = order.length;
  const blocks = inputs / INT4_BLOCK;
  const rows = weights.length / inputs;
  const columns = order.subarray(from, to);
  const upper = squareOf(panel, [from, to]);
  const errors = new Float32Array(rows * width);
  const sums = new Float64Array(width);
  for (let row = 0; row < rows; row++) {
    for (let k = 0; k < width; k++) sums[k] = added === null ? 0 : added[row * width + k]!;
    for (let k = 0; k < width; k++) {
      const input = columns[k]!;
      const block = row * blocks + ((input / INT4_BLOCK) | 0);
      const scale = scales[block]!;
      const zero = zeros[block]!;
      const weight = weights[row * inputs + from + k]!;
      let level = nearestInteger((weight + sums[k]!) / scale + zero);
      if (level < 0) level = 0;
      else if (level > INT4_TOP) level = INT4_TOP;
      levels[row * inputs + from + k] = level;
      const error = weight - scale * (level - zero);
      errors[row * width + k] = error;
      for (let j = k + 1; j < width; j++) sums[j]! += error * upper[k * width + j]!;
    }
  }
  return errors;
}

/** The square of U on the diagonal at some columns of a panel. */
function squareOf(panel: Panel, [from, to]: Range): Float64Array {
  const width = to - from;
  const size = panel.to - panel.from;
  const square = new Float64Array(width * width);
  for (let k = 0; k < width; k++) {
    const start = (from - panel.from + k) * size + from - panel.from;
    square.set(panel.upper.subarray(start, start + width), k * width);
  }
  return square;
}
