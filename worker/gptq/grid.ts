import { INT4_BLOCK, INT4_TOP } from '../model/weights/int4-matrix.ts';
import type { Int4Levels } from '../model/weights/int4-matrix.ts';
import { nearestInteger } from '../model/nearest-integer.ts';

/** The scales and zero points of a matrix in 4 bits. */
export type Grid = Pick<Int4Levels, 'scales' | 'zeros'>;

/** Shares of a block's range that are tried: a narrower one has finer levels, and cuts off the largest weights. */
const SHARES = Array.from({ length: 21 }, (_, i) => 1 - 0.02 * i);

/**
 * The grid of rows [rows, in]: for each block of inputs that share of its range with the least Σ importance·error² of
 * rounding to nearest; of equal ones the largest. A block of zeros has scale 1.
 * @param importance [in], of each input
 */
export function searchGrid(rows: Float32Array, importance: Float32Array): Grid {
  const blocks = rows.length / INT4_BLOCK;
  const ofRow = importance.length / INT4_BLOCK;
  const scales = new Float32Array(blocks);
  const zeros = new Uint8Array(blocks);
  const weights = new Float64Array(INT4_BLOCK);
  const shares = new Float64Array(INT4_BLOCK);
  for (let block = 0; block < blocks; block++) {
    const from = (block % ofRow) * INT4_BLOCK;
    for (let i = 0; i < INT4_BLOCK; i++) {
      weights[i] = rows[block * INT4_BLOCK + i]!;
      shares[i] = importance[from + i]!;
    }
    searchBlock(weights, shares, block, { scales, zeros });
  }
  return { scales, zeros };
}

function searchBlock(weights: Float64Array, importance: Float64Array, block: number, { scales, zeros }: Grid): void {
  let low = 0;
  let high = 0;
  for (let i = 0; i < INT4_BLOCK; i++) {
    const weight = weights[i]!;
    if (weight < low) low = weight;
    if (weight > high) high = weight;
  }
  let least = Infinity;
  for (const share of SHARES) {
    const scale = Math.fround(((high - low) / INT4_TOP) * share) || 1;
    const zero = Math.min(INT4_TOP, nearestInteger(-low / scale));
    const error = roundingError(weights, importance, scale, zero, least);
    if (error >= least) continue;
    least = error;
    scales[block] = scale;
    zeros[block] = zero;
  }
}

/** Σ importance·error² of a block. It may be left off at `enough`. */
function roundingError(
  weights: Float64Array,
  importance: Float64Array,
  scale: number,
  zero: number,
  enough: number,
): number {
  const inverse = 1 / scale;
  let sum = 0;
  for (let i = 0; i < INT4_BLOCK && sum < enough; i++) {
    const weight = weights[i]!;
    let level = nearestInteger(weight * inverse + zero);
    if (level < 0) level = 0;
    else if (level > INT4_TOP) level = INT4_TOP;
    const error = weight - scale * (level - zero);
    sum += importance[i]! * error * error;
  }
  return sum;
}
