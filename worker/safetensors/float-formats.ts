/** The floating-point formats of stored weights, by their safetensors names. */
export type FloatDtype = 'F32' | 'BF16' | 'F16';

export const FLOAT_BYTES: Readonly<Record<FloatDtype, number>> = { F32: 4, BF16: 2, F16: 2 };

export function isFloatDtype(dtype: string): dtype is FloatDtype {
  return dtype in FLOAT_BYTES;
}

/**
 * Widens little-endian floats to float32, which is exact for all three formats. `bytes` holds whole elements. Bytes are
 * read in native order, because all platforms of onnxruntime-node are little-endian.
 */
export function widenToFloat32(dtype: FloatDtype, bytes: Uint8Array, out: Float32Array): void {
  const bits = new Uint32Array(out.buffer, out.byteOffset, out.length);
  if (dtype === 'F32') {
    new Uint8Array(out.buffer, out.byteOffset, out.byteLength).set(bytes);
    return;
  }
  const halves = alignedHalves(bytes);
  if (dtype === 'BF16') {
    for (let i = 0; i < halves.length; i++) bits[i] = halves[i]! << 16;
  } else {
    for (let i = 0; i < halves.length; i++) bits[i] = float16ToFloat32Bits(halves[i]!);
  }
}

/** Bits of a word with one element of 32 bits or two of 16: all exponents, and the lowest bit of each. */
const EXPONENTS: Readonly<Record<FloatDtype, readonly [all: number, lowest: number]>> = {
  F32: [0x7f80_0000, 0x0080_0000],
  BF16: [0x7f80_7f80, 0x0080_0080],
  F16: [0x7c00_7c00, 0x0400_0400],
};
/** Words that are checked at once. */
const BLOCK = 4096;

/** Index of the first NaN or infinity (all exponent bits set), or -1. `bytes` holds whole elements. */
export function firstNonFinite(dtype: FloatDtype, bytes: Uint8Array): number {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes);
  const words = new Int32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength >> 2);
  const [all, lowest] = EXPONENTS[dtype];
  const signs = dtype === 'F32' ? 0x8000_0000 : 0x8000_8000;
  const perWord = 4 / FLOAT_BYTES[dtype];
  for (let from = 0; from < words.length; from += BLOCK) {
    const to = Math.min(from + BLOCK, words.length);
    // Adding one to an exponent carries into the sign only if all its bits are set.
    let carried = 0;
    for (let i = from; i < to; i++) carried |= (words[i]! & all) + lowest;
    if ((carried & signs) !== 0) return firstInElements(dtype, aligned, from * perWord);
  }
  return firstInElements(dtype, aligned, words.length * perWord);
}

function firstInElements(dtype: FloatDtype, bytes: Uint8Array, from: number): number {
  const elements =
    dtype === 'F32' ? new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4) : alignedHalves(bytes);
  const exponent = EXPONENTS[dtype][0] & (dtype === 'F32' ? -1 : 0xffff);
  for (let i = from; i < elements.length; i++) if ((elements[i]! & exponent) === exponent) return i;
  return -1;
}

/** Elements that are not aligned in memory are copied. (A Buffer's own slice() does not copy.) */
function alignedHalves(bytes: Uint8Array): Uint16Array {
  const aligned = bytes.byteOffset % 2 === 0 ? bytes : new Uint8Array(bytes);
  return new Uint16Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 2);
}

/** Converts IEEE 754 half precision to single, including subnormals, infinities and NaN payloads. */
function float16ToFloat32Bits(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return sign | 0x7f80_0000 | (fraction << 13);
  if (exponent !== 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  // Subnormal: fraction · 2⁻²⁴. Its leading bit becomes the implicit one.
  const shift = Math.clz32(fraction) - 21;
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13);
}
