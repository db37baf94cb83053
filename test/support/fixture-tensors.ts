import { closeSync, openSync, readSync } from 'node:fs';
import { float32, int32 } from '../../worker/engine/graph/tensor.ts';
import type { Tensor } from '../../worker/engine/graph/tensor.ts';
import { readSafetensorsHeader, readTensor } from '../../worker/safetensors/safetensors.ts';

/**
 * The tensors of a committed *.safetensors fixture by name. Floating-point tensors are converted to float32; I32 is
 * unchanged.
 */
export function fixtureTensors(path: string): (name: string) => Tensor {
  const { tensors } = readSafetensorsHeader(path);
  return (name) => {
    const entry = tensors.get(name);
    if (!entry) throw new Error(`${path} has no tensor ${name}`);
    if (entry.dtype !== 'I32') return float32(readTensor(path, entry), entry.shape);
    const data = new Int32Array(entry.bytes / Int32Array.BYTES_PER_ELEMENT);
    const file = openSync(path, 'r');
    readSync(file, data, 0, entry.bytes, entry.offset);
    closeSync(file);
    return int32(data, entry.shape);
  };
}

/** The elements of an integer tensor, none of which exceeds 2⁵³. */
export function numbers({ data }: Tensor): number[] {
  return Array.from<number | bigint, number>(data, Number);
}

export function largest(xs: readonly number[]): number {
  return xs.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
}

/** max|found − expected|. NaN anywhere gives NaN, which fails every comparison. */
export function maxError(found: readonly number[], expected: readonly number[]): number {
  if (found.length !== expected.length)
    throw new Error(`${found.length} numbers where ${expected.length} are expected`);
  return largest(expected.map((x, i) => found[i]! - x));
}

/** max|found − expected| / max|expected|, or the absolute error if all expected values are zero. */
export function relativeError(found: readonly number[], expected: readonly number[]): number {
  return maxError(found, expected) / (largest(expected) || 1);
}
