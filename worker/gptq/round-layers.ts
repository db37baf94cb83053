import type { Compute } from '../engine/compute.ts';
import { UserError } from '../../crds/facts/user-error.ts';
import { calibrate } from '../inference/calibration.ts';
import type { TokenBatch } from '../model/batch-feeds.ts';
import { inputGroups } from '../model/config/projections.ts';
import { projectionWeight } from '../model/config/tensors.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import { INT4_BLOCK, packInt4 } from '../model/weights/int4-matrix.ts';
import type { Int4Matrix } from '../model/weights/int4-matrix.ts';
import { FLOAT_BYTES, widenToFloat32 } from '../safetensors/float-formats.ts';
import type { WeightEntry } from '../safetensors/safetensors.ts';
import { readRows } from '../safetensors/stream.ts';
import { factorMoments, freeFactor } from './factor.ts';
import type { Factor } from './factor.ts';
import { searchGrid } from './grid.ts';
import { Products } from './products.ts';
import { roundColumns } from './round.ts';

/** Columns of a panel of the factor, whose products run in the compute process. */
const PANEL = 256;
/** Columns that are rounded here between two products. */
const WIDTH = 64;

/** A projection in 4 bits. */
interface RoundedProjection {
  /** The name of its weight. */
  readonly weight: string;
  readonly matrix: Int4Matrix;
}

/**
 * Rounds the projections of some layers to 4 bits by GPTQ, for what the full model's projections read in the batches,
 * and yields them in the order of the layers and of their projections. Memory holds
 * what one layer's projections read, and one matrix with the factor of its moments.
 * @param layers ascending
 * @throws UserError if the inputs of a layer are not finite; the signal's reason on abort
 */
export async function* roundLayers(
  compute: Compute,
  model: FederatedModel,
  layers: readonly number[],
  batches: readonly TokenBatch[],
  signal?: AbortSignal,
): AsyncGenerator<RoundedProjection, void> {
  const products = new Products(compute);
  try {
    for await (const { layer, inputs } of calibrate(compute, model, layers, batches, signal)) {
      for (const [i, group] of inputGroups(model.config).entries()) {
        const parts = inputs[i]!.map((variable, batch) => ({ variable, rows: batches[batch]!.tokens }));
        const factor = await factorMoments(products, parts, PANEL);
        if (factor === null)
          throw notFinite(
            layer,
            group.map(({ name }) => name),
          );
        for (const projection of group) {
          const weight = projectionWeight(layer, projection);
          yield { weight, matrix: await roundMatrix(products, model.weights.get(weight)!, factor, signal) };
        }
        await freeFactor(products, factor);
      }
    }
  } finally {
    await products.release();
  }
}

const notFinite = (layer: number, names: readonly string[]) =>
  new UserError(`on public data, ${names.join(', ')} of layer ${layer} read values that are NaN or infinite`, {
    hint: 'Check the model’s weights and data.public, or set emulator.weights: AsStored.',
  });

/** Reads a matrix in pieces, so that the search of its grid leaves this thread free between two. */
async function roundMatrix(
  products: Products,
  entry: WeightEntry,
  factor: Factor,
  signal: AbortSignal | undefined,
): Promise<Int4Matrix> {
  const [outputs, inputs] = entry.shape as readonly [number, number];
  const weights = new Float32Array(outputs * inputs);
  const blocks = weights.length / INT4_BLOCK;
  const grid = { scales: new Float32Array(blocks), zeros: new Uint8Array(blocks) };
  let read = 0;
  for await (const bytes of readRows(entry)) {
    signal?.throwIfAborted();
    const rows = weights.subarray(read, read + bytes.byteLength / FLOAT_BYTES[entry.dtype]);
    widenToFloat32(entry.dtype, bytes, rows);
    const { scales, zeros } = searchGrid(rows, factor.diagonal);
    grid.scales.set(scales, read / INT4_BLOCK);
    grid.zeros.set(zeros, read / INT4_BLOCK);
    reorder(rows, factor.order);
    read += rows.length;
  }
  const ordered = await roundColumns(products, weights, grid, factor, { width: WIDTH, signal });
  return packInt4({ ...grid, levels: restored(ordered, factor.order) }, inputs);
}

/** Moves the columns of rows into an order. */
function reorder(rows: Float32Array, order: Int32Array): void {
  const width = order.length;
  const row = new Float32Array(width);
  for (let from = 0; from < rows.length; from += width) {
    row.set(rows.subarray(from, from + width));
    for (let k = 0; k < width; k++) rows[from + k] = row[order[k]!]!;
  }
}

/** The columns of rows in an order at their own places. */
function restored(ordered: Uint8Array, order: Int32Array): Uint8Array {
  const width = order.length;
  const rows = new Uint8Array(ordered.length);
  for (let from = 0; from < rows.length; from += width)
    for (let k = 0; k < width; k++) rows[from + order[k]!] = ordered[from + k]!;
  return rows;
}
