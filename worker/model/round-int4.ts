import { nearestInteger } from './nearest-integer.ts';
import { INT4_BLOCK, INT4_TOP, packInt4 } from './weights/int4-matrix.ts';
import type { Int4Matrix } from './weights/int4-matrix.ts';

/**
 * Rounds rows of a matrix to the nearest of 16 levels between the smallest and the largest weight of a block, of which
 * one is 0. A block of zeros has scale 1.
 * @param rows [out, in]
 * @param inputs a multiple of 32
 */
export function roundToInt4(rows: Float32Array, inputs: number): Int4Matrix {
  const blocks = rows.length / INT4_BLOCK;
  const levels = new Uint8Array(rows.length);
  const scales = new Float32Array(blocks);
  const zeros = new Uint8Array(blocks);
  for (let block = 0; block < blocks; block++) {
    const [from, to] = [block * INT4_BLOCK, (block + 1) * INT4_BLOCK];
    let [low, high] = [0, 0];
    for (let i = from; i < to; i++) {
      low = Math.min(low, rows[i]!);
      high = Math.max(high, rows[i]!);
    }
    const scale = (scales[block] = Math.fround((high - low) / INT4_TOP) || 1);
    const zero = (zeros[block] = Math.min(INT4_TOP, nearestInteger(-low / scale)));
    for (let i = from; i < to; i++) {
      levels[i] = Math.max(0, Math.min(INT4_TOP, nearestInteger(rows[i]! / scale + zero)));
    }
  }
  return packInt4({ levels, scales, zeros }, inputs);
}
