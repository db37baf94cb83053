import { float32 } from '../engine/graph/tensor.ts';
import type { Products } from './products.ts';
import { factorSymmetric, invertUpper } from './unit-upper.ts';

/** Added to the diagonal of the moments, as a share of its mean: few tokens leave them singular. */
const DAMPING = 0.01;

/** Columns of a panel, whose products run in the compute process. */
export const PANEL = 256;

/** Some columns of U, which are rounded against the same products. */
export interface Panel {
  /** Its columns among those of U. */
  readonly from: number;
  readonly to: number;
  /** The variable that holds U[:to, from:to]ᵀ, [to − from, to]. */
  readonly variable: string;
  /** U[from:to, from:to], row by row. */
  readonly upper: Float64Array;
  readonly pivots: Float64Array;
}

/** H = U·D·Uᵀ of the moments of a matrix's inputs, with U unit upper triangular. */
export interface Factor {
  /** [in]: the input that is column k of U. Inputs are in falling order of their moment. */
  readonly order: Int32Array;
  /** [in]: the diagonal of the moments, by input. */
  readonly diagonal: Float32Array;
  readonly panels: readonly Panel[];
}

/** Tells the variables of factors apart. */
let factors = 0;

/** A part of the rows that a matrix reads, [rows, in]. */
interface Part {
  readonly variable: string;
  readonly rows: number;
}

/**
 * Decomposes the damped moments Σ xᵀx of rows x, panel by panel from the last: large products run in the compute
 * process, and each panel's square on the diagonal is decomposed here, in float64. The moments never exist as a whole.
 * Null if they are not finite.
 * @param parts of the rows, which are freed
 * @param width columns of a panel
 */
export async function factorMoments(products: Products, parts: readonly Part[], width = PANEL): Promise<Factor | null> {
  const { compute } = products;
  const diagonal = await sumOfSquares(products, parts);
  if (!diagonal.every(Number.isFinite)) return null;
  const inputs = diagonal.length;
  const order = Int32Array.from(diagonal.keys()).sort((a, b) => diagonal[b]! - diagonal[a]! || a - b);
  const damping = (DAMPING * diagonal.reduce((sum, x) => sum + x, 0)) / inputs || 1;
  const name = `gptq.${factors++}`;
  const ordered = parts.map(({ rows }, i) => ({
    variable: `${name}.rows.${i}`,
    weights: new Float32Array(rows).fill(1),
  }));
  for (const [i, { variable }] of parts.entries()) await products.reorder(variable, order, ordered[i]!.variable);
  const rest = `${name}.rest`;
  const panels: Panel[] = [];
  for (let to = inputs; to > 0; to = panels[0]!.from) {
    const from = Math.floor((to - 1) / width) * width;
    const size = to - from;
    await compute.clear(rest, size, to);
    for (const { variable, weights } of ordered) await products.addSquare(rest, variable, weights, [from, to]);
    for (const { variable, pivots } of panels)
      await products.addSquare(
        rest,
        variable,
        Float32Array.from(pivots, (d) => -d),
        [from, to],
      );
    const square = Float64Array.from(await products.columns(rest, [from, to]));
    for (let k = 0; k < size; k++) square[k * size + k]! += damping;
    const { upper, pivots } = factorSymmetric(square, size, damping);
    const inverse = invertUpper(upper, size);
    const left = Float32Array.from(inverse, (x, at) => x / pivots[Math.floor(at / size)]!);
    const variable = `${name}.${from}`;
    const square32 = (data: Float32Array) => float32(data, [size, size]);
    await products.extend(square32(left), rest, [0, from], square32(transposed(upper, size)), variable);
    panels.unshift({ from, to, variable, upper, pivots });
  }
  await compute.free(rest, ...ordered.map(({ variable }) => variable));
  return { order, diagonal, panels };
}

async function sumOfSquares(products: Products, parts: readonly Part[]): Promise<Float32Array> {
  const squares: Float32Array[] = [];
  for (const { variable } of parts) squares.push(await products.squares(variable));
  return squares[0]!.map((_, i) => squares.reduce((sum, each) => sum + each[i]!, 0));
}

function transposed(matrix: Float64Array, size: number): Float32Array {
  const result = new Float32Array(size * size);
  for (let i = 0; i < size; i++) for (let j = 0; j < size; j++) result[j * size + i] = matrix[i * size + j]!;
  return result;
}

export async function freeFactor({ compute }: Products, { panels }: Factor): Promise<void> {
  await compute.free(...panels.map(({ variable }) => variable));
}
