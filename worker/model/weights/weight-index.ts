import { basename, join } from 'node:path';
import { isRecord } from '../../../crds/json-schema/node.ts';
import { UserError } from '../../../crds/facts/user-error.ts';
import { shown } from '../../files/json-value.ts';
import { isThere, readJson, resolveInput } from '../../files/read.ts';
import type { DecoderConfig } from '../config/config.ts';
import { isFloatDtype } from '../../safetensors/float-formats.ts';
import { decoderTensors, EMBEDDING, HEAD } from '../config/tensors.ts';
import type { NamedShape } from '../config/tensors.ts';
import { readSafetensorsHeader } from '../../safetensors/safetensors.ts';
import type { SafetensorsHeader, WeightEntry } from '../../safetensors/safetensors.ts';
import { sameValues } from './tied-head.ts';

/** Every weight of a model by its checkpoint name: `model.layers.0.self_attn.q_proj.weight`, `lm_head.weight`, … */
export type WeightIndex = ReadonlyMap<string, WeightEntry>;

/** The weights of a directory. */
export interface IndexedWeights {
  /** The config, with the head tied to the embedding only if the weights are tied. */
  readonly config: DecoderConfig;
  readonly weights: WeightIndex;
  /** The files that hold them: name in the model's directory → absolute path. */
  readonly files: ReadonlyMap<string, string>;
  /** Tensors in these files that are not used. */
  readonly unused: readonly string[];
}

const SINGLE_FILE = 'model.safetensors';
const INDEX_FILE = 'model.safetensors.index.json';
/** The largest published models have some 200 shards, and indexes of some 100 KB. */
const MAX_SHARDS = 4096;
const MAX_INDEX_BYTES = 64 << 20;
const LISTED = 50;

/**
 * Finds every weight that the config requires in a directory's model.safetensors, or in the shards that its index
 * names. It reads only headers, unless the checkpoint stores both an embedding and a head that should be tied to it: if
 * their values differ, they are not tied, as in transformers 5, and the returned config says so. If they are tied, the
 * checkpoint may store only the head. With `layers`, the other decoder layers may be absent; the
 * projections of `quantized` layers are not looked for.
 * @throws UserError if a file is missing or broken; it lists all weights that are missing, have a wrong shape or are
 *   not floating point
 */
export function indexWeights(
  directory: string,
  config: DecoderConfig,
  layers?: readonly number[],
  quantized: readonly number[] = [],
): IndexedWeights {
  const shardOf = readShardMap(directory);
  const files = new Map<string, string>();
  const headers = new Map<string, SafetensorsHeader>();
  const problems: string[] = [];
  const entryOf = ({ name, shape }: NamedShape, { optional = false } = {}): WeightEntry | undefined => {
    const shard = shardOf(name);
    if (shard === undefined) {
      if (!optional) problems.push(`${name} [${shape.join(', ')}] is missing`);
      return undefined;
    }
    const file =
      files.get(shard) ?? resolveInput(join(directory, shard), 'Download the model again; a shard did not arrive.');
    const header = headers.get(shard) ?? readSafetensorsHeader(file);
    files.set(shard, file);
    headers.set(shard, header);
    const found = header.tensors.get(name);
    if (found === undefined) {
      if (!optional) problems.push(`${name} [${shape.join(', ')}] is missing from ${shard}`);
      return undefined;
    }
    if (!sameShape(found.shape, shape))
      problems.push(`${name} has shape ${shown(found.shape)}, not [${shape.join(', ')}]`);
    else if (!isFloatDtype(found.dtype)) problems.push(`${name} is ${found.dtype}, not F32, BF16 or F16`);
    else return { file, dtype: found.dtype, shape, offset: found.offset, bytes: found.bytes };
    return undefined;
  };
  const weights = new Map<string, WeightEntry>();
  const head = config.tiedEmbeddings
    ? entryOf({ name: HEAD, shape: [config.vocabSize, config.hiddenSize] }, { optional: true })
    : undefined;
  for (const tensor of decoderTensors(config, layers, quantized)) {
    // A checkpoint may store a tied table under either name, as in transformers.
    const entry = tensor.name === EMBEDDING && head ? (entryOf(tensor, { optional: true }) ?? head) : entryOf(tensor);
    if (entry) weights.set(tensor.name, entry);
  }
  const embedding = weights.get(EMBEDDING);
  if (problems.length > 0) {
    const rest = problems.length > LISTED ? [`… and ${problems.length - LISTED} more`] : [];
    throw new UserError(
      [`the weights in ${directory} do not match its config.json:`, ...problems.slice(0, LISTED), ...rest].join('\n  '),
      { hint: 'Check that the directory is complete and that config.json belongs to these weights.' },
    );
  }
  const unused = unusedTensors(config, headers.values());
  if (!embedding || !head || sameValues(embedding, head)) return { config, weights, files, unused };
  weights.set(HEAD, head);
  return { config: { ...config, tiedEmbeddings: false }, weights, files, unused };
}

/** Buffers that old checkpoints contain: they follow from the config. */
const DERIVED = /\.rotary_emb\.(inv_freq|cos_cached|sin_cached)$/;

/**
 * Tensors in the files that the decoder of this config does not have: unused biases, layers after the last, … A head is
 * reported separately.
 */
function unusedTensors(config: DecoderConfig, headers: Iterable<SafetensorsHeader>): string[] {
  const known = new Set([...decoderTensors(config).map(({ name }) => name), HEAD]);
  return [...headers]
    .flatMap(({ tensors }) => [...tensors.keys()])
    .filter((name) => !known.has(name) && !DERIVED.test(name));
}

/**
 * Maps a weight's name to the file that holds it, from model.safetensors (preferred, as in transformers) or the index.
 */
function readShardMap(directory: string): (name: string) => string | undefined {
  if (isThere(join(directory, SINGLE_FILE))) return () => SINGLE_FILE;
  const path = join(directory, INDEX_FILE);
  if (!isThere(path)) {
    const pickled =
      isThere(join(directory, 'pytorch_model.bin')) || isThere(join(directory, 'pytorch_model.bin.index.json'));
    throw new UserError(`${directory} has neither ${SINGLE_FILE} nor ${INDEX_FILE}`, {
      hint: pickled
        ? 'Its pytorch_model.bin is a pickle, which can run code and is never read: convert it to safetensors.'
        : 'Point model.uri at a Hugging Face directory with safetensors weights.',
    });
  }
  const shards = new Map<string, string>();
  for (const [name, shard] of Object.entries(readWeightMap(path))) {
    if (
      typeof shard !== 'string' ||
      shard === '' ||
      shard !== basename(shard) ||
      shard.includes('\\') ||
      shard.length > 255 ||
      shard === '..'
    ) {
      throw new UserError(
        `${path} maps ${name.slice(0, 120)} to ${shown(shard)}, which is not the name of a file in the same directory`,
      );
    }
    shards.set(name, shard);
  }
  const files = new Set(shards.values()).size;
  if (files > MAX_SHARDS) throw new UserError(`${path} names ${files} files, more than the limit of ${MAX_SHARDS}`);
  return (name) => shards.get(name);
}

function readWeightMap(path: string): object {
  const index = readJson(path, { maxBytes: MAX_INDEX_BYTES });
  if (isRecord(index) && isRecord(index['weight_map'])) return index['weight_map'];
  throw new UserError(`${path} has no weight_map`);
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, i) => size === b[i]);
}
