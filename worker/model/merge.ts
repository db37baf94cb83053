import { readdirSync, realpathSync, statSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isRecord } from '../../crds/json-schema/node.ts';
import { UserError } from '../../crds/facts/user-error.ts';
import type { ModelDirectory } from './directory.ts';
import { firstNonFinite, FLOAT_BYTES, isFloatDtype, widenToFloat32 } from '../safetensors/float-formats.ts';
import { roundFromFloat32 } from '../safetensors/float-rounding.ts';
import type { DecoderConfig } from './config/config.ts';
import { projections } from './config/projections.ts';
import { projectionWeight } from './config/tensors.ts';
import { loraName } from './lora/layout.ts';
import type { LoraAdapter } from './lora/peft.ts';
import { readSafetensorsHeader } from '../safetensors/safetensors.ts';
import { readRows, streamSafetensors } from '../safetensors/stream.ts';
import type { StreamedTensor } from '../safetensors/stream.ts';
import type { WeightEntry } from '../safetensors/safetensors.ts';

/** Files of a model other than its weights: configs, tokenizer, chat template, licence. */
const COMPANIONS = /\.(json|jinja|txt|model)$|^(LICENSE|NOTICE|USE_POLICY)/;

/**
 * Writes a model with an adapter merged in as a Hugging Face directory: each adapted weight becomes W + (α/r)·B·A,
 * summed in float64 and then rounded to the dtype W is stored in; every other tensor and file is copied unchanged,
 * except a config.json that ties a head which is not tied. Weights keep their shards and are processed in pieces.
 * @param to an existing folder
 * @throws UserError when a merged weight does not fit its dtype, or a file cannot be read or written
 */
export async function writeMergedModel(
  { path, config, weights }: Pick<ModelDirectory, 'path' | 'config' | 'weights'>,
  adapter: LoraAdapter,
  to: string,
  { signal }: { signal?: AbortSignal } = {},
): Promise<void> {
  const used = new Set([...weights.values()].map(({ file }) => file));
  const factors = lowRankFactors(adapter, config);
  for (const name of readdirSync(path).sort()) {
    signal?.throwIfAborted();
    const source = join(path, name);
    if (!statSync(source, { throwIfNoEntry: false })?.isFile()) continue;
    if (name.endsWith('.safetensors')) {
      const file = realpathSync(source);
      if (used.has(file)) await writeShard(file, factors, join(to, name), signal);
    } else if (name === 'config.json' && !config.tiedEmbeddings) {
      await writeFile(join(to, name), untied(await readFile(source, 'utf8')));
    } else if (COMPANIONS.test(name)) {
      await writeFile(join(to, name), await readFile(source));
    }
  }
}

/**
 * config.json, with tie_word_embeddings corrected if the head is not the embedding: not every loader looks at the
 * weights.
 */
function untied(json: string): string {
  const config: unknown = JSON.parse(json);
  if (!isRecord(config) || config['tie_word_embeddings'] !== true) return json;
  return `${JSON.stringify({ ...config, tie_word_embeddings: false }, null, 2)}\n`;
}

async function writeShard(
  file: string,
  factors: ReadonlyMap<string, LowRank>,
  to: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { tensors, metadata } = readSafetensorsHeader(file);
  const streamed = [...tensors].map(([name, entry]): StreamedTensor => {
    const { dtype, shape } = entry;
    const stored = { file, ...entry };
    const lowRank = factors.get(name);
    if (lowRank === undefined || !isFloatDtype(dtype)) return { name, dtype, shape, chunks: () => readRows(stored) };
    return { name, dtype, shape, chunks: () => merged(name, { ...stored, dtype }, lowRank) };
  });
  await streamSafetensors(to, streamed, { metadata, ...(signal && { signal }) });
}

/** ΔW = scale·B·A of a weight [out, in]. */
interface LowRank {
  readonly rank: number;
  readonly scale: number;
  /** [rank, in] */
  readonly a: Float32Array;
  /** Bᵀ: [rank, out] */
  readonly b: Float32Array;
}

/** Updates by the name of the weight that they change. */
function lowRankFactors({ spec, layout, values }: LoraAdapter, config: DecoderConfig): Map<string, LowRank> {
  const slices = new Map(layout.slices.map(({ name, offset, size }) => [name, values.subarray(offset, offset + size)]));
  const layers = new Set(layout.slices.map(({ name }) => Number(name.split('.')[1])));
  const adapted = projections(config).filter(({ name }) => spec.targets.includes(name));
  const factors = new Map<string, LowRank>();
  for (const layer of layers) {
    for (const projection of adapted) {
      const a = slices.get(loraName(layer, projection, 'lora_A'));
      const b = slices.get(loraName(layer, projection, 'lora_B'));
      if (a === undefined || b === undefined)
        throw new Error(`the adapter has no ${projection.name} in layer ${layer}`);
      factors.set(projectionWeight(layer, projection), { rank: spec.rank, scale: spec.alpha / spec.rank, a, b });
    }
  }
  return factors;
}

async function* merged(name: string, entry: WeightEntry, { rank, scale, a, b }: LowRank): AsyncGenerator<Uint8Array> {
  const [out = 0, width = 0] = entry.shape;
  const sum = new Float64Array(width);
  let row = 0;
  for await (const piece of readRows(entry)) {
    const values = new Float32Array(piece.byteLength / FLOAT_BYTES[entry.dtype]);
    widenToFloat32(entry.dtype, piece, values);
    for (let start = 0; start < values.length; start += width, row++) {
      const w = values.subarray(start, start + width);
      sum.set(w);
      for (let k = 0; k < rank; k++) {
        const factor = scale * b[k * out + row]!;
        for (let i = 0; i < width; i++) sum[i]! += factor * a[k * width + i]!;
      }
      w.set(sum);
    }
    const bytes = roundFromFloat32(entry.dtype, values);
    if (firstNonFinite(entry.dtype, bytes) >= 0) {
      throw new UserError(`${name} with the merged adapter contains a value too large for ${entry.dtype}`, {
        hint: 'Export without --merge, and use the adapter beside the model.',
      });
    }
    yield bytes;
  }
}
