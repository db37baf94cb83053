import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileState } from '../files/file-state.ts';
import { sha256 } from '../files/sha256.ts';
import { requireUnchanged } from '../safetensors/content.ts';
import { FLOAT_BYTES, widenToFloat32 } from '../safetensors/float-formats.ts';
import type { WeightEntry } from '../safetensors/safetensors.ts';
import { readRows, streamSafetensors } from '../safetensors/stream.ts';
import type { StreamedTensor } from '../safetensors/stream.ts';
import { layerOf, quantizedTensors } from './config/tensors.ts';
import type { FederatedModel, WatchedModel } from './federated-model.ts';
import { indexQuantized } from './weights/quantized-index.ts';
import type { QuantizedIndex, QuantizedWeights } from './weights/quantized-index.ts';
import { readWritten } from './written-file.ts';

/** Ends the name of the folder with the quantised weights. */
export const QUANTIZED_SUFFIX = '-int8';

export interface QuantizeOptions {
  readonly modelSha256: string;
  /** Names the format in which the model's weights are held, such as model.dtype. */
  readonly held: string;
  readonly product: QuantizedWeights['product'];
  readonly signal?: AbortSignal;
}

/** What is quantised: the shapes of the layers, and their weights as they are held. */
type Quantizable = Pick<FederatedModel, 'config' | 'weights'>;

type Watched<T> = T & Pick<WatchedModel, 'checkUnchanged'>;

/**
 * The projections of all layers in 8 bits, for all passes.
 * @param cache folder of the file, which is watched
 * @throws UserError if the file cannot be written, or is damaged; the signal's reason on abort
 */
export async function quantizeAll(
  model: Quantizable,
  cache: string,
  options: QuantizeOptions,
): Promise<Watched<{ readonly computed: Required<Pick<FederatedModel, 'computeWeights'>> }>> {
  const layers = Array.from({ length: model.config.layers }, (_, layer) => layer);
  const { index, checkUnchanged } = await quantizeLayers(model, layers, cache, options);
  return { computed: { computeWeights: { index, product: options.product, passes: 'All' } }, checkUnchanged };
}

/**
 * The model with its emulator's projections in 8 bits: those of its compute weights, or in a file of their own under
 * `cache`, which is watched. All other weights stay as stored.
 * @throws UserError if the file cannot be written, or is damaged; the signal's reason on abort
 */
export async function quantizeEmulator(
  model: FederatedModel,
  cache: string,
  options: QuantizeOptions,
): Promise<WatchedModel> {
  const { split, computeWeights } = model;
  const { index, checkUnchanged } = computeWeights
    ? { index: partOf(computeWeights.index, split.emulator), checkUnchanged: () => {} }
    : await quantizeLayers(model, split.emulator, cache, options);
  return { model: { ...model, quantized: { index, product: options.product, passes: 'Emulator' } }, checkUnchanged };
}

const partOf = (index: QuantizedIndex, layers: readonly number[]): QuantizedIndex =>
  new Map([...index].filter(([name]) => layers.includes(layerOf(name)!)));

/**
 * The projections of some layers, quantised once, matrix by matrix, into a file under `cache`, named by the model's
 * hash and the layers, which later runs reuse.
 */
async function quantizeLayers(
  { config, weights }: Quantizable,
  layers: readonly number[],
  cache: string,
  { modelSha256, held, signal }: QuantizeOptions,
): Promise<Watched<{ readonly index: QuantizedIndex }>> {
  const key = sha256(JSON.stringify([modelSha256, held, layers])).slice(0, 16);
  const folder = join(cache, `weights-${key}${QUANTIZED_SUFFIX}`);
  const file = join(folder, 'model.safetensors');
  if (!existsSync(file)) {
    await mkdir(folder, { recursive: true });
    const tensors = quantizedTensors(config, layers).flatMap(({ weight, values, scales }): StreamedTensor[] => {
      const entry = weights.get(weight);
      if (!entry) throw new Error(`the model has no weight ${weight}`);
      return [
        { ...scales, dtype: 'F32', chunks: () => scalesOf(entry) },
        { ...values, dtype: 'I8', chunks: () => valuesOf(entry) },
      ];
    });
    await streamSafetensors(file, tensors, { metadata: { quantization: QUANTIZATION }, ...(signal && { signal }) });
  }
  const states = new Map([[file, fileState(file)]]);
  const index = readWritten(() => indexQuantized(file, config, layers));
  return { index, checkUnchanged: () => requireUnchanged(states) };
}

/** Says in the file's metadata what its tensors mean. */
const QUANTIZATION = 'int8, symmetric per output: W[o, i] = W_scale[o] * W_int8[i, o]';

/** The scale of an output: its largest weight becomes ±127. A row of zeros has scale 1. */
function scaleOf(row: Float32Array): number {
  let largest = 0;
  for (let i = 0; i < row.length; i++) largest = Math.max(largest, Math.abs(row[i]!));
  return Math.fround(largest / 127) || 1;
}

async function* scalesOf(entry: WeightEntry): AsyncGenerator<Uint8Array> {
  for await (const rows of rowsOf(entry)) yield new Uint8Array(Float32Array.from(rows, scaleOf).buffer);
}

/** Outputs that are transposed together: their bytes share a cache line of the result. */
const TILE = 64;

/** Added and subtracted, it rounds a small number to the nearest integer, and halves to even. */
const ROUNDING = 1.5 * 2 ** 52;

/** Weights [out, in] divided by their scales and rounded, as [in, out]. One matrix is in memory. */
async function* valuesOf(entry: WeightEntry): AsyncGenerator<Uint8Array> {
  const [outputs, inputs] = entry.shape as readonly [number, number];
  const values = new Int8Array(inputs * outputs);
  const tile = new Int8Array(TILE * inputs);
  let first = 0;
  for await (const rows of rowsOf(entry)) {
    for (let from = 0; from < rows.length; from += TILE) {
      const height = Math.min(TILE, rows.length - from);
      for (let r = 0; r < height; r++) quantizeRow(rows[from + r]!, tile.subarray(r * inputs, (r + 1) * inputs));
      for (let i = 0; i < inputs; i++) {
        const at = i * outputs + first + from;
        for (let r = 0; r < height; r++) values[at + r] = tile[r * inputs + i]!;
      }
    }
    first += rows.length;
  }
  yield new Uint8Array(values.buffer);
}

function quantizeRow(row: Float32Array, out: Int8Array): void {
  const scale = scaleOf(row);
  for (let i = 0; i < row.length; i++) out[i] = row[i]! / scale + ROUNDING - ROUNDING;
}

/** The rows of a matrix in float32, in pieces of some MiB. */
async function* rowsOf(entry: WeightEntry): AsyncGenerator<Float32Array[]> {
  const width = entry.shape[1]!;
  for await (const piece of readRows(entry)) {
    const values = new Float32Array(piece.byteLength / FLOAT_BYTES[entry.dtype]);
    widenToFloat32(entry.dtype, piece, values);
    yield Array.from({ length: values.length / width }, (_, row) => values.subarray(row * width, (row + 1) * width));
  }
}
