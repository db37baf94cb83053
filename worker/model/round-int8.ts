import type { WeightEntry } from '../safetensors/safetensors.ts';
import { readFloatRows } from './float-rows.ts';
import { nearestInteger } from './nearest-integer.ts';

/** A matrix [out, in] in 8 bits: a weight is its output's scale times an integer in [−127, 127]. */
interface Int8Matrix {
  /** [in, out]. */
  readonly values: Int8Array;
  /** [out]. */
  readonly scales: Float32Array;
}

/** Outputs that are transposed together: their bytes share a cache line of the result. */
const TILE = 64;

/** Rounds a stored matrix [out, in] to the nearest integers, with a scale for each output. */
export async function roundToInt8(entry: WeightEntry): Promise<Int8Matrix> {
  const [outputs, inputs] = entry.shape as readonly [number, number];
  const values = new Int8Array(inputs * outputs);
  const scales = new Float32Array(outputs);
  const tile = new Int8Array(TILE * inputs);
  let output = 0;
  for await (const rows of readFloatRows(entry)) {
    for (let from = 0; from < rows.length; from += TILE * inputs) {
      const height = Math.min(TILE, (rows.length - from) / inputs);
      for (let r = 0; r < height; r++) {
        const row = rows.subarray(from + r * inputs, from + (r + 1) * inputs);
        const scale = (scales[output + r] = scaleOf(row));
        for (let i = 0; i < inputs; i++) tile[r * inputs + i] = nearestInteger(row[i]! / scale);
      }
      for (let i = 0; i < inputs; i++) {
        const at = i * outputs + output;
        for (let r = 0; r < height; r++) values[at + r] = tile[r * inputs + i]!;
      }
      output += height;
    }
  }
  return { values, scales };
}

/** The scale of an output: its largest weight becomes ±127. A row of zeros has scale 1. */
function scaleOf(row: Float32Array): number {
  let largest = 0;
  for (let i = 0; i < row.length; i++) largest = Math.max(largest, Math.abs(row[i]!));
  return Math.fround(largest / 127) || 1;
}
