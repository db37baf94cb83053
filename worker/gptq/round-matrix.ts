import { INT4_BLOCK, packInt4 } from '../model/weights/int4-matrix.ts';
import type { Int4Matrix } from '../model/weights/int4-matrix.ts';
import type { Factor } from './factor.ts';
import { searchGrid } from './grid.ts';
import type { Products } from './products.ts';
import { roundColumns } from './round.ts';

/** Columns that are rounded here between two products. */
const WIDTH = 64;

/**
 * Rounds a matrix [out, in] to 4 bits, for the inputs of a factor.
 * @param pieces its rows in order, one or more at a time: between two pieces, the search of the grid leaves this thread
 *   free
 * @throws the signal's reason on abort
 */
export async function roundMatrix(
  products: Products,
  pieces: AsyncIterable<Float32Array> | Iterable<Float32Array>,
  outputs: number,
  factor: Factor,
  signal?: AbortSignal,
): Promise<Int4Matrix> {
  const inputs = factor.order.length;
  const weights = new Float32Array(outputs * inputs);
  const blocks = weights.length / INT4_BLOCK;
  const grid = { scales: new Float32Array(blocks), zeros: new Uint8Array(blocks) };
  let read = 0;
  for await (const piece of pieces) {
    signal?.throwIfAborted();
    const { scales, zeros } = searchGrid(piece, factor.diagonal);
    grid.scales.set(scales, read / INT4_BLOCK);
    grid.zeros.set(zeros, read / INT4_BLOCK);
    const rows = weights.subarray(read, read + piece.length);
    reorder(piece, rows, factor.order);
    read += piece.length;
  }
  const ordered = await roundColumns(products, weights, grid, factor, { width: WIDTH, signal });
  return packInt4({ ...grid, levels: restored(ordered, factor.order) }, inputs);
}

/** The columns of rows in an order. */
function reorder(rows: Float32Array, ordered: Float32Array, order: Int32Array): void {
  const width = order.length;
  for (let from = 0; from < rows.length; from += width)
    for (let k = 0; k < width; k++) ordered[from + k] = rows[from + order[k]!]!;
}

/** The columns of rows in an order at their own places. */
function restored(ordered: Uint8Array, order: Int32Array): Uint8Array {
  const width = order.length;
  const rows = new Uint8Array(ordered.length);
  for (let from = 0; from < rows.length; from += width)
    for (let k = 0; k < width; k++) rows[from + order[k]!] = ordered[from + k]!;
  return rows;
}
