import { float32 } from '../../engine/graph/tensor.ts';
import type { Tensor } from '../../engine/graph/tensor.ts';
import { readMatrixRows } from '../../safetensors/safetensors.ts';
import { EMBEDDING } from '../config/tensors.ts';
import type { WeightIndex } from './weight-index.ts';

/**
 * Embedding of token ids, [tokens, hidden] float32: their rows of the table, read from the model's file. A graph that
 * looks them up would map the file and keep more of its pages in memory with every new token.
 * @throws UserError if the file is truncated
 */
export function embed(weights: WeightIndex, ids: Int32Array): Tensor {
  const table = weights.get(EMBEDDING);
  if (!table) throw new Error(`the model has no weight ${EMBEDDING}`);
  const [rows, width] = table.shape as readonly [number, number];
  const unknown = ids.find((id) => id < 0 || id >= rows);
  if (unknown !== undefined) throw new Error(`the embedding has ${rows} rows, but none for token ${unknown}`);
  return float32(readMatrixRows(table.file, table, ids), [ids.length, width]);
}
