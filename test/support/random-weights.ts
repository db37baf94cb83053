import { open } from 'node:fs/promises';
import { widenToFloat32 } from '../../worker/safetensors/float-formats.ts';
import { roundFromFloat32 } from '../../worker/safetensors/float-rounding.ts';
import { encodeHeader, tensorBytes } from '../../worker/safetensors/header.ts';
import type { TensorEntry } from '../../worker/safetensors/header.ts';
import { readSafetensorsHeader } from '../../worker/safetensors/safetensors.ts';
import { streamSafetensors } from '../../worker/safetensors/stream.ts';

export type WrittenDtype = 'F16' | 'F32';

/** Elements of the random block that all matrices repeat: not a power of two, so that no rows of a matrix are alike. */
const BLOCK = (1 << 20) + 7;

/**
 * Elements of the block by which a matrix begins later than the one before: ONNX Runtime would hold the packed copies
 * of equal matrices once.
 */
const SHIFT = 4099;
const DEVIATION = 0.02;

/**
 * Writes a file of matrices with random values and vectors of ones, of any size in little time. The values are the same
 * in both element types.
 */
export async function writeWeights(
  path: string,
  shapes: ReadonlyMap<string, readonly number[]>,
  dtype: WrittenDtype,
): Promise<ReadonlyMap<string, TensorEntry>> {
  const matrix = stored(Float32Array.from({ length: BLOCK }, normal(DEVIATION)), dtype);
  const vector = stored(new Float32Array(BLOCK).fill(1), dtype);
  const elementBytes = tensorBytes(dtype, [1]);
  const tensors = [...shapes].map(([name, shape], i) => ({
    name,
    dtype,
    shape,
    chunks: () =>
      shape.length === 1
        ? repeated(vector, 0, tensorBytes(dtype, shape))
        : repeated(matrix, ((i * SHIFT) % BLOCK) * elementBytes, tensorBytes(dtype, shape)),
  }));
  await streamSafetensors(path, tensors, { metadata: { format: 'pt' } });
  return readSafetensorsHeader(path).tensors;
}

/** Writes a file of zeros, which take no space on the disk. */
export async function writeZeros(
  path: string,
  shapes: ReadonlyMap<string, readonly number[]>,
  dtype: WrittenDtype,
): Promise<void> {
  const entries = [...shapes].map(([name, shape]) => ({ name, dtype, shape, bytes: tensorBytes(dtype, shape) }));
  const header = encodeHeader(entries, { format: 'pt' });
  const file = await open(path, 'w');
  try {
    await file.writeFile(header);
    await file.truncate(entries.reduce((sum, { bytes }) => sum + bytes, header.byteLength));
  } finally {
    await file.close();
  }
}

/** Values rounded to float16, in one of the element types. */
function stored(values: Float32Array, dtype: WrittenDtype): Uint8Array {
  const half = roundFromFloat32('F16', values);
  if (dtype === 'F16') return half;
  const exact = new Float32Array(values.length);
  widenToFloat32('F16', half, exact);
  return new Uint8Array(exact.buffer);
}

/** So many bytes of a block that repeats, from an offset in it. */
async function* repeated(block: Uint8Array, offset: number, bytes: number): AsyncGenerator<Uint8Array> {
  let at = offset;
  for (let left = bytes; left > 0;) {
    const piece = block.subarray(at, at + left);
    yield piece;
    left -= piece.byteLength;
    at = 0;
  }
}

/** Normally distributed numbers, by Box and Muller, from a linear congruential generator. */
function normal(deviation: number): () => number {
  let state = 1;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 1) / 2 ** 32;
  };
  return () => deviation * Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}
