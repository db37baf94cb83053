import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { FedBiOTJobSpec } from '../../crds/types.ts';
import { COPIED_WEIGHT_BYTES } from '../engine/compute.ts';
import type { Provider } from '../engine/compute-protocol.ts';
import { matrixProduct } from '../engine/matrix-product.ts';
import type { DecoderConfig } from '../model/config/config.ts';
import { projections } from '../model/config/projections.ts';
import { decoderTensors, EMBEDDING, layerOf } from '../model/config/tensors.ts';
import { modelWithSplit } from '../model/federated-model.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import { quantizeAll, quantizeEmulator } from '../model/quantize.ts';
import type { LayerSplit } from '../model/split.ts';
import { holdsProjections } from '../model/weights/quantized-formats.ts';
import { formatOf, UNQUANTIZED } from '../model/weights/quantized-index.ts';
import type { WeightIndex } from '../model/weights/weight-index.ts';
import { FLOAT_BYTES } from '../safetensors/float-formats.ts';
import { roundFromFloat32 } from '../safetensors/float-rounding.ts';

/** A model like a job's, with fewer parameters: what takes time in the job takes a known part of it here. */
export interface Miniature {
  readonly model: FederatedModel;
  /** Graphs with more bytes of weights stand for ones whose weights stay in their files. */
  readonly copiedWeightBytes: number;
}

/** Smallest width of a miniature. Narrower products are slower than those of the job. */
const MIN_WIDTH = 512;

/**
 * Writes a model with the job's shapes, element types and split into a folder. It has fewer layers and a smaller
 * vocabulary if the job's has more than `parameters` parameters, in about the same proportions; if its layers are too
 * large, it is also narrower, with heads of the same size. Its projections are holes in a file: they are zero, and
 * occupy no disk.
 */
export async function writeMiniature(
  folder: string,
  model: FederatedModel,
  spec: Pick<FedBiOTJobSpec, 'adapter' | 'emulator'>,
  { parameters, provider }: { readonly parameters: number; readonly provider: Provider },
): Promise<Miniature> {
  const format = formatOf(model.quantized?.emulator ?? UNQUANTIZED);
  const fits = (narrow: DecoderConfig) => format === undefined || holdsProjections(format, narrow);
  const config = narrowed(model.config, layersOf(shortened(model.split, 0)), { parameters, fits });
  const part = Math.min(1, parameters / parametersOf(config));
  const split = shortened(model.split, part);
  const cut: DecoderConfig = {
    ...config,
    layers: layersOf(split),
    vocabSize: Math.max(Math.min(config.vocabSize, MIN_VOCABULARY), Math.round(config.vocabSize * part)),
  };
  const weights = writeHoles(join(folder, 'weights'), cut, model.weights);
  const stored = modelWithSplit({ config: cut, weights }, split, spec);
  return {
    model: await formattedLike(model, stored, folder, provider),
    copiedWeightBytes: copiedBytes(model.weights, weights),
  };
}

/** A miniature with its projections in the formats of the whole model's. */
async function formattedLike(
  { quantized, computeWeights }: FederatedModel,
  stored: FederatedModel,
  folder: string,
  provider: Provider,
): Promise<FederatedModel> {
  // The hash and the format only name a file, which no other model can have in this folder.
  const options = { modelSha256: '', checkUnchanged: () => {}, held: '', product: matrixProduct(provider) };
  const computed = computeWeights && (await quantizeAll(stored, folder, options)).computed;
  const model = { ...stored, ...computed };
  const format = formatOf(quantized?.emulator ?? UNQUANTIZED);
  return format ? (await quantizeEmulator(model, format, folder, options)).model : model;
}

/**
 * Graphs of a large model are taken to be large, whichever layers they have; but a layer by itself only if it is. The
 * graphs of a miniature are too few layers for a limit in proportion.
 */
function copiedBytes(whole: WeightIndex, small: WeightIndex): number {
  if (bytesOf(whole) <= COPIED_WEIGHT_BYTES) return Infinity;
  return bytesOf(whole, 0) > COPIED_WEIGHT_BYTES ? 0 : bytesOf(small, 0);
}

/** Enough for the texts' tokens to differ. */
const MIN_VOCABULARY = 512;

/**
 * The config with half of its width, as often as its layers need it to have at most so many parameters.
 * @param fits whether a format can hold its projections
 */
function narrowed(
  config: DecoderConfig,
  layers: number,
  limits: { readonly parameters: number; readonly fits: (narrow: DecoderConfig) => boolean },
): DecoderConfig {
  const { hiddenSize, intermediateSize, heads, keyValueHeads } = config;
  const isEven = [hiddenSize, intermediateSize, heads, keyValueHeads].every((size) => size % 2 === 0);
  if (layers * layerParameters(config) <= limits.parameters || !isEven || hiddenSize / 2 < MIN_WIDTH) return config;
  const half = {
    ...config,
    hiddenSize: hiddenSize / 2,
    intermediateSize: intermediateSize / 2,
    heads: heads / 2,
    keyValueHeads: keyValueHeads / 2,
  };
  return limits.fits(half) ? narrowed(half, layers, limits) : config;
}

/** The split with a part of its layers, but at least one of each kind that it has. */
function shortened(split: LayerSplit, part: number): LayerSplit {
  const count = (layers: readonly number[]) => Math.min(layers.length, Math.max(1, Math.round(layers.length * part)));
  const range = (from: number, length: number) => Array.from({ length }, (_, i) => from + i);
  const [front, emulator, dropped] = [count(split.front), count(split.emulator), count(split.dropped)];
  return {
    front: range(0, front),
    teacher: range(front, emulator + dropped),
    emulator: range(front, emulator),
    dropped: range(front + emulator, dropped),
    tail: range(front + emulator + dropped, count(split.tail)),
  };
}

const layersOf = ({ front, teacher, tail }: LayerSplit): number => front.length + teacher.length + tail.length;

const layerParameters = (config: DecoderConfig): number =>
  projections(config).reduce((sum, projection) => sum + projection.in * projection.out, 0);

const parametersOf = (config: DecoderConfig): number =>
  config.layers * layerParameters(config) + config.vocabSize * config.hiddenSize;

/** Bytes of all weights, or of those of a layer. */
function bytesOf(weights: WeightIndex, layer?: number): number {
  const counted = [...weights].filter(([name]) => layer === undefined || layerOf(name) === layer);
  return counted.reduce((sum, [, { bytes }]) => sum + bytes, 0);
}

/**
 * Writes a file of zeros that occupies no disk, except for the embedding: losses divide by the norm of its rows.
 *
 * @param like the weights whose element types the new ones have
 */
function writeHoles(file: string, config: DecoderConfig, like: WeightIndex): WeightIndex {
  let end = 0;
  const weights: WeightIndex = new Map(
    decoderTensors(config).map(({ name, shape }) => {
      const dtype = like.get(name)?.dtype ?? 'F32';
      const bytes = shape.reduce((a, b) => a * b, FLOAT_BYTES[dtype]);
      const entry = { file, dtype, shape, offset: end, bytes };
      end += Math.ceil(bytes / PAGE) * PAGE;
      return [name, entry];
    }),
  );
  const { dtype, offset, shape } = weights.get(EMBEDDING)!;
  const [rows, width] = shape as readonly [number, number];
  const row = roundFromFloat32(dtype, new Float32Array(width).fill(0.02));
  const descriptor = openSync(file, 'wx');
  try {
    ftruncateSync(descriptor, end);
    for (let i = 0; i < rows; i++) writeSync(descriptor, row, 0, row.byteLength, offset + i * row.byteLength);
  } finally {
    closeSync(descriptor);
  }
  return weights;
}

/** Tensors begin where pages do, as stored in most files. */
const PAGE = 4096;
