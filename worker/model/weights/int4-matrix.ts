import { INT4_BLOCK } from '../../engine/ops/int4-matrix.ts';

export { INT4_BLOCK } from '../../engine/ops/int4-matrix.ts';

/** The largest level. */
export const INT4_TOP = 15;

/** A matrix [out, in], or some of its rows, in 4 bits: a weight is scale·(level − zero point), 0 ≤ level ≤ 15. */
export interface Int4Matrix {
  /** [out, in/32, 16]: the levels of the blocks, two in a byte, the first in its lower half. */
  readonly values: Uint8Array;
  /** [out, in/32]. */
  readonly scales: Float32Array;
  /** [out, ⌈in/64⌉]: the zero points of a row's blocks, in pairs as the levels are. */
  readonly zeroPoints: Uint8Array;
}

/** Rows of a matrix in 4 bits before they are packed. */
export interface Int4Levels {
  /** [out, in], from 0 to 15. */
  readonly levels: Uint8Array;
  /** [out, in/32]. */
  readonly scales: Float32Array;
  /** [out, in/32], from 0 to 15. */
  readonly zeros: Uint8Array;
}

/** @param inputs a multiple of 32 */
export function packInt4({ levels, scales, zeros }: Int4Levels, inputs: number): Int4Matrix {
  return { values: inPairs(levels, inputs), scales, zeroPoints: inPairs(zeros, inputs / INT4_BLOCK) };
}

/** Rows of numbers from 0 to 15, two in a byte. Each row begins with a byte of its own. */
function inPairs(numbers: Uint8Array, width: number): Uint8Array {
  const rowBytes = Math.ceil(width / 2);
  const rows = numbers.length / width;
  const bytes = new Uint8Array(rows * rowBytes);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < width; i++) bytes[row * rowBytes + (i >> 1)]! |= numbers[row * width + i]! << (4 * (i & 1));
  }
  return bytes;
}
