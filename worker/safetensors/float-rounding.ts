import type { FloatDtype } from './float-formats.ts';

/**
 * Rounds float32 values to a storage format: to nearest, ties to even, as PyTorch does; little-endian. Values beyond
 * the format's range become infinite. F32 returns the bytes of `values` without copying them.
 */
export function roundFromFloat32(dtype: FloatDtype, values: Float32Array): Uint8Array {
  if (dtype === 'F32') return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(values.length);
  const round = dtype === 'BF16' ? toBfloat16 : toFloat16;
  for (let i = 0; i < bits.length; i++) halves[i] = round(bits[i]!);
  return new Uint8Array(halves.buffer);
}

const INFINITY_BITS = 0x7f80_0000;

function toBfloat16(bits: number): number {
  // Rounding must not turn a NaN into infinity.
  if ((bits & 0x7fff_ffff) > INFINITY_BITS) return (bits >>> 16) | 0x40;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

/** 2⁻¹⁴, the smallest normal half, and 65520, which is halfway between the largest half and the next power of two. */
const SMALLEST_NORMAL_BITS = 0x3880_0000;
const OVERFLOW_BITS = 0x477f_f000;

function toFloat16(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fff_ffff;
  if (magnitude > INFINITY_BITS) return sign | 0x7e00;
  if (magnitude >= OVERFLOW_BITS) return sign | 0x7c00;
  if (magnitude < SMALLEST_NORMAL_BITS) return sign | subnormal(magnitude);
  // The exponent's bias changes from 127 to 15. A carry out of the fraction correctly increments the exponent.
  return sign | ((magnitude - (112 << 23) + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
}

/** Multiples of 2⁻²⁴: the 24 bits of the significand are shifted to that unit, ties to even. */
function subnormal(magnitude: number): number {
  const exponent = magnitude >>> 23;
  // Less than half of the smallest subnormal.
  if (exponent < 102) return 0;
  const significand = (magnitude & 0x7f_ffff) | 0x80_0000;
  const shift = 126 - exponent;
  const floor = significand >>> shift;
  const rest = significand & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  return rest > half || (rest === half && (floor & 1) === 1) ? floor + 1 : floor;
}
