import { FLOAT_BYTES, widenToFloat32 } from '../safetensors/float-formats.ts';
import type { WeightEntry } from '../safetensors/safetensors.ts';
import { readRows } from '../safetensors/stream.ts';

/**
 * The rows of a matrix in float32, [rows, width], in pieces of some MiB.
 * @throws UserError if the file ends too early
 */
export async function* readFloatRows(entry: WeightEntry): AsyncGenerator<Float32Array> {
  for await (const piece of readRows(entry)) {
    const values = new Float32Array(piece.byteLength / FLOAT_BYTES[entry.dtype]);
    widenToFloat32(entry.dtype, piece, values);
    yield values;
  }
}
