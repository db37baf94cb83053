import { INT4_BLOCK } from '../../worker/model/weights/int4-matrix.ts';
import type { Int4Matrix } from '../../worker/model/weights/int4-matrix.ts';

/** The weights [out, in] of a matrix in 4 bits. */
export function fromInt4({ values, scales, zeroPoints }: Int4Matrix, inputs: number): Float32Array {
  const blocks = inputs / INT4_BLOCK;
  const half = (byte: number, i: number) => (i % 2 === 0 ? byte & 15 : byte >> 4);
  return Float32Array.from({ length: 2 * values.length }, (_, at) => {
    const [row, input] = [Math.floor(at / inputs), at % inputs];
    const block = Math.floor(input / INT4_BLOCK);
    const level = half(values[Math.floor(at / 2)]!, input);
    const zero = half(zeroPoints[row * Math.ceil(blocks / 2) + Math.floor(block / 2)]!, block);
    return scales[row * blocks + block]! * (level - zero);
  });
}
