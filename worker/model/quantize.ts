import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '../files/durable-files.ts';
import { sha256 } from '../files/sha256.ts';
import type { WeightEntry } from '../safetensors/safetensors.ts';
import { streamGroups } from '../safetensors/stream.ts';
import type { StreamedGroup } from '../safetensors/stream.ts';
import { layerOf } from './config/tensors.ts';
import { withQuantizedEmulator } from './federated-model.ts';
import type { FederatedModel, WatchedModel } from './federated-model.ts';
import { readFloatRows } from './float-rows.ts';
import { roundToInt4 } from './round-int4.ts';
import { roundToInt8 } from './round-int8.ts';
import { partsOf, QUANTIZED_FORMATS, quantizedProjections } from './weights/quantized-formats.ts';
import type { MatrixParts, QuantizedFormat } from './weights/quantized-formats.ts';
import type { Int4Matrix } from './weights/int4-matrix.ts';
import { indexQuantized } from './weights/quantized-index.ts';
import type { QuantizedIndex, QuantizedWeights } from './weights/quantized-index.ts';
import { watchedFile } from './written-file.ts';

export interface QuantizeOptions {
  readonly modelSha256: string;
  /** Throws if the model's files have another content than modelSha256 says: then nothing is kept under that name. */
  readonly checkUnchanged: () => void;
  /** Names the format in which the model's weights are held, such as model.dtype. */
  readonly held: string;
  readonly product: QuantizedWeights['product'];
  readonly signal?: AbortSignal;
  /** Locks a folder whose files other processes may write as well. Files of a folder without a lock have one writer. */
  readonly lock?: (folder: string) => Promise<{ release(): void }>;
}

/** What is quantised: the shapes of the layers, and their weights as they are held. */
type Quantizable = Pick<FederatedModel, 'config' | 'weights'>;

/** Rounds weights to a format. */
export interface Rounding {
  /** What decides the result besides the weights: rounding to nearest has nothing. */
  readonly key: string;
  /** The matrix of each weight, in their order, in one or more pieces. A layer is written when the next one begins. */
  readonly matrices: (request: RoundingRequest) => AsyncGenerator<readonly MatrixParts<Numbers>[], void>;
}

export interface RoundingRequest {
  /** The layers that are not yet written, ascending. */
  readonly layers: readonly number[];
  /** Their projections, layer by layer. */
  readonly weights: readonly WeightEntry[];
  /** A file that may hold what is needed to go on after a stop. It is removed when all layers are written. */
  readonly unfinished: string;
}

type Numbers = Int8Array | Uint8Array | Float32Array;

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
  const { index, checkUnchanged } = await quantizeLayers(model, 'Int8', layers, TO_NEAREST.Int8, cache, options);
  return { computed: { computeWeights: { index, product: options.product } }, checkUnchanged };
}

/**
 * The model with its emulator's projections in a format: those of its compute weights, or in a file of their own under
 * `cache`, which is watched. All other weights stay as stored.
 * @throws UserError if the format cannot hold them, the file cannot be written, or is damaged; the signal's reason on
 *   abort
 */
export async function quantizeEmulator(
  model: FederatedModel,
  format: QuantizedFormat,
  cache: string,
  options: QuantizeOptions,
  rounding = TO_NEAREST[format],
): Promise<WatchedModel> {
  const { split, computeWeights } = model;
  const { index, checkUnchanged } =
    computeWeights && format === 'Int8'
      ? { index: partOf(computeWeights.index, split.emulator), checkUnchanged: () => {} }
      : await quantizeLayers(model, format, split.emulator, rounding, cache, options);
  return { model: withQuantizedEmulator(model, index, options.product), checkUnchanged };
}

const partOf = (index: QuantizedIndex, layers: readonly number[]): QuantizedIndex =>
  new Map([...index].filter(([name]) => layers.includes(layerOf(name)!)));

/** Name of the file that a rounding has while layers are missing. */
export const UNFINISHED = 'unfinished.safetensors';

/**
 * The projections of some layers, quantised once, matrix by matrix, into a file for each layer, in a folder under
 * `cache` named by the model's hash and the layers. Later runs reuse the files, also if the layers are not complete.
 */
async function quantizeLayers(
  model: Quantizable,
  format: QuantizedFormat,
  layers: readonly number[],
  rounding: Rounding,
  cache: string,
  options: QuantizeOptions,
): Promise<Watched<{ readonly index: QuantizedIndex }>> {
  const key = sha256(JSON.stringify([options.modelSha256, options.held, layers, rounding.key])).slice(0, 16);
  const folder = join(cache, `weights-${key}${QUANTIZED_FORMATS[format].folderSuffix}`);
  const fileOf = (layer: number) => join(folder, `layer-${layer}.safetensors`);
  const missing = () => layers.filter((layer) => !existsSync(fileOf(layer)));
  const files: Watched<{ readonly content: QuantizedIndex }>[] = [];
  makeFolder(folder);
  const lock = missing().length > 0 ? await options.lock?.(folder) : undefined;
  try {
    const unfinished = join(folder, UNFINISHED);
    // What is missing is decided once: another process may write a layer meanwhile, whose matrices are rounded as well.
    const writer = new LayerWriter(model, format, missing(), rounding, unfinished, options);
    try {
      for (const layer of layers) {
        const file = fileOf(layer);
        await writer.write(file, layer);
        files.push(watchedFile(file, () => indexQuantized(file, format, model.config, [layer])));
      }
    } finally {
      await writer.close();
    }
    await rm(unfinished, { force: true });
  } finally {
    lock?.release();
  }
  return {
    index: new Map(files.flatMap(({ content }) => [...content])),
    checkUnchanged: () => files.forEach(({ checkUnchanged }) => checkUnchanged()),
  };
}

/** Writes the projections of layers into a file for each, as they are rounded. */
class LayerWriter {
  readonly #config: Quantizable['config'];
  readonly #format: QuantizedFormat;
  readonly #layers: readonly number[];
  readonly #matrices: ReturnType<Rounding['matrices']>;
  readonly #options: Pick<QuantizeOptions, 'checkUnchanged' | 'signal'>;

  /** @param layers those to be written, ascending */
  constructor(
    { config, weights }: Quantizable,
    format: QuantizedFormat,
    layers: readonly number[],
    rounding: Rounding,
    unfinished: string,
    options: Pick<QuantizeOptions, 'checkUnchanged' | 'signal'>,
  ) {
    this.#options = options;
    this.#config = config;
    this.#format = format;
    this.#layers = layers;
    const entries = quantizedProjections(format, config, layers).map(({ weight }) => {
      const entry = weights.get(weight);
      if (!entry) throw new Error(`the model has no weight ${weight}`);
      return entry;
    });
    this.#matrices = rounding.matrices({ layers, weights: entries, unfinished });
  }

  /** Writes the next layer, if it is to be written. */
  async write(file: string, layer: number): Promise<void> {
    const { signal } = this.#options;
    if (!this.#layers.includes(layer)) return;
    const groups = quantizedProjections(this.#format, this.#config, [layer]).map(({ parts }): StreamedGroup => ({
      tensors: partsOf(parts),
      chunks: () => this.#next(),
    }));
    const metadata = { quantization: QUANTIZED_FORMATS[this.#format].meaning };
    await streamGroups(file, groups, { metadata, ...(signal && { signal }) });
  }

  /** Ends the rounding. */
  async close(): Promise<void> {
    await this.#matrices.return();
  }

  /** The pieces of the next matrix. */
  async *#next(): AsyncGenerator<readonly Uint8Array[]> {
    const { value: pieces } = await this.#matrices.next();
    for (const piece of pieces ?? []) yield partsOf(piece).map(bytesOf);
    this.#options.checkUnchanged();
  }
}

/** Rounds each weight to the nearest number of a format. */
export const TO_NEAREST: Readonly<Record<QuantizedFormat, Rounding>> = {
  Int8: {
    key: '',
    matrices: async function* ({ weights }) {
      for (const entry of weights) yield [await roundToInt8(entry)];
    },
  },
  Int4: {
    key: '',
    matrices: async function* ({ weights }) {
      for (const entry of weights) {
        const pieces: Int4Matrix[] = [];
        for await (const rows of readFloatRows(entry)) pieces.push(roundToInt4(rows, entry.shape[1]!));
        yield pieces;
      }
    },
  },
};

const bytesOf = ({ buffer, byteOffset, byteLength }: Numbers): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);
