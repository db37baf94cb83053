import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../../crds/facts/user-error.ts';
import { shown } from '../files/json-value.ts';
import { localPath } from '../files/local-path.ts';
import { readJson, SMALL_FILE_BYTES } from '../files/read.ts';
import { parseDecoderConfig } from './config/config.ts';
import type { DecoderConfig } from './config/config.ts';
import { fileState } from '../files/file-state.ts';
import type { FileState } from '../files/file-state.ts';
import { fileSha256, sha256 } from '../files/sha256.ts';
import { downloadModel } from '../hub/download-model.ts';
import type { DownloadOptions } from '../hub/download-model.ts';
import { READ_ONCE } from '../safetensors/checked-content.ts';
import type { Verification } from '../safetensors/checked-content.ts';
import { requireUnchanged } from '../safetensors/content.ts';
import { checkWeights } from './weights/checked-weights.ts';
import { indexWeights } from './weights/weight-index.ts';
import type { WeightIndex } from './weights/weight-index.ts';

const COMPLETE = 'A model directory holds config.json, tokenizer.json and *.safetensors.';
const LOCAL = { forms: 'Use a directory, a file:// URL or hf://org/name@revision.', example: 'model' };

/** A Hugging Face model directory whose config and weights match. */
export interface ModelDirectory {
  /** Absolute. */
  readonly path: string;
  readonly config: DecoderConfig;
  readonly weights: WeightIndex;
  /** Warnings for the user about the files. */
  readonly warnings: readonly string[];
  /**
   * SHA-256 (hex) of the model: of config.json, tokenizer.json and every weight file, by name and independent of the
   * directory's path. The pass over the files also checks that all weights are finite.
   * @throws UserError that names the first element that is not finite, or a file that was changed since the model was
   *   opened
   */
  sha256(verification?: Verification): Promise<string>;
  /** @throws UserError if one of these files was changed since the model was opened */
  checkUnchanged(): void;
}

/**
 * Opens a model: a directory (path or file: URL), or `hf://org/name@revision`, which is downloaded into the Hugging
 * Face cache first. No weights are read, only their headers.
 * @throws UserError when the directory is missing or incomplete, the architecture is not supported, or the download
 *   fails
 */
export async function openModelDirectory(uri: string, options: DownloadOptions = {}): Promise<ModelDirectory> {
  const path = uri.startsWith('hf://') ? await downloadModel(uri, options) : localPath(uri, LOCAL);
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
    throw new UserError(`${path} is not a directory`, {
      hint: 'Give a Hugging Face model directory, or in model.uri hf://org/name@revision.',
    });
  }
  const texts = new Map(
    ['config.json', 'tokenizer.json']
      .map((name) => [name, join(path, name)] as const)
      .filter(([, file]) => existsSync(file)),
  );
  const textStates = statesOf(texts);
  const declared = readDecoderConfig(path);
  const { config, weights, files, unused } = indexWeights(path, declared);
  const states = statesOf(files);
  return {
    path,
    config,
    weights,
    warnings: warningsOf(path, declared, config, unused),
    sha256: async (verification = READ_ONCE) => {
      const known = await checkWeights(weights, states, verification);
      const digest = await sha256OfFiles(new Map([...files, ...texts]), known);
      requireUnchanged(textStates);
      return digest;
    },
    checkUnchanged: () => requireUnchanged(new Map([...states, ...textStates])),
  };
}

/** The state of each file, by path. */
function statesOf(files: ReadonlyMap<string, string>): ReadonlyMap<string, FileState> {
  return new Map([...files.values()].map((file) => [file, fileState(file)]));
}

function warningsOf(path: string, declared: DecoderConfig, config: DecoderConfig, unused: readonly string[]): string[] {
  const warnings: string[] = [];
  if (declared.tiedEmbeddings !== config.tiedEmbeddings) {
    warnings.push(
      `${join(path, 'config.json')} ties the head to the embedding, but the weights contain a different lm_head.weight, which is used, as in transformers 5 ` +
        '(earlier versions tie them and compute other results). Set tie_word_embeddings to false there.',
    );
  }
  if (unused.length > 0) {
    const named = unused.slice(0, 5).map(shown).join(', ');
    warnings.push(
      `${path} contains ${unused.length} unused tensors that a ${config.family} model with this config.json does not have: ${named}${unused.length > 5 ? ', …' : ''}`,
    );
  }
  return warnings;
}

/**
 * The config of a model directory, from config.json.
 * @throws UserError if it cannot be read, and as `parseDecoderConfig`
 */
export function readDecoderConfig(directory: string): DecoderConfig {
  const path = join(directory, 'config.json');
  return parseDecoderConfig(readJson(path, { maxBytes: SMALL_FILE_BYTES, hint: COMPLETE }), path);
}

/** Hash over "digest  name" lines in the order of names, as sha256sum prints them. */
async function sha256OfFiles(files: ReadonlyMap<string, string>, known: ReadonlyMap<string, string>): Promise<string> {
  let sums = '';
  for (const [name, path] of [...files].sort(([a], [b]) => (a < b ? -1 : 1)))
    sums += `${known.get(path) ?? (await fileSha256(path))}  ${name}\n`;
  return sha256(sums);
}
