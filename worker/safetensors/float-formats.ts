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

/** Index of the first NaN or infinity (all exponent bits set), or -1. */
export function firstNonFinite(dtype: FloatDtype, bytes: Uint8Array): number {
  if (dtype === 'F32') {
    const words = bytes.byteOffset % 4 === 0 ? wordsOf(bytes) : wordsOf(new Uint8Array(bytes));
    for (let i = 0; i < words.length; i++) if ((words[i]! & 0x7f80_0000) === 0x7f80_0000) return i;
    return -1;
  }
  const exponent = dtype === 'BF16' ? 0x7f80 : 0x7c00;
  const halves = alignedHalves(bytes);
  for (let i = 0; i < halves.length; i++) if ((halves[i]! & exponent) === exponent) return i;
  return -1;
}

function wordsOf(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
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
