import { closeSync, openSync, readSync } from 'node:fs';
import { UserError } from '../errors.ts';
import { float32, type Tensor } from '../engine/tensor.ts';
import { widenToFloat32 } from './float-formats.ts';
import type { WeightIndex } from './weights.ts';

const TABLE = 'model.embed_tokens.weight';

/**
 * Embedding of token ids, [tokens, hidden] float32: their rows of the table, read where they lie in the model's file. A graph that looks
 * them up would map the file, and hold ever more pages of it as tokens turn up for the first time.
 * @throws UserError when the file ends before a row does
 */
export function embed(weights: WeightIndex, ids: Int32Array): Tensor {
  const table = weights.get(TABLE);
  if (!table) throw new Error(`the model has no weight ${TABLE}`);
  const { file, dtype, shape, offset, bytes } = table;
  const [rows, width] = shape as readonly [number, number];
  const rowBytes = bytes / rows;
  const read = new Uint8Array(ids.length * rowBytes);
  const descriptor = openSync(file, 'r');
  try {
    ids.forEach((id, i) => {
      if (id < 0 || id >= rows) throw new Error(`the embedding has ${rows} rows, and none for token ${id}`);
      const got = readSync(descriptor, read, i * rowBytes, rowBytes, offset + id * rowBytes);
      if (got < rowBytes) throw new UserError(`${file} ends within ${TABLE}: the file is truncated`);
    });
  } finally {
    closeSync(descriptor);
  }
  const values = new Float32Array(ids.length * width);
  widenToFloat32(dtype, read, values);
  return float32(values, [ids.length, width]);
}
