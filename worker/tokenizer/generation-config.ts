import { join } from 'node:path';
import { UserError } from '../../crds/facts/user-error.ts';
import { isNothing, shown } from '../files/json-value.ts';
import type { JsonObject } from '../files/json-value.ts';
import { isThere, readJsonObject, SMALL_FILE_BYTES } from '../files/read.ts';
import { isTokenId } from './added-tokens.ts';
import { GENERATION_FIELDS, UNKNOWN } from '../model/config/fields.ts';
import { harmless, refuseUnknownFields } from '../files/known-fields.ts';

/** Generation settings from the model's files. */
export interface GenerationConfig {
  /** Ids that end a text, in addition to the tokenizer's end of sequence. */
  readonly stopTokenIds: readonly number[];
  /** Settings that would change the likeliest token. They are not used. */
  readonly warnings: readonly string[];
}

/**
 * Settings that change greedy generation in transformers, each with the values (as JSON) that do not. Other settings
 * control sampling, length or the computation, and have no effect here: an evaluation takes the likeliest token, up to
 * its own limit.
 */
const GREEDY_SETTINGS: Readonly<Record<string, readonly string[]>> = {
  num_beams: ['1'],
  min_length: ['0'],
  min_new_tokens: ['0'],
  stop_strings: [],
  penalty_alpha: ['0'],
  dola_layers: [],
  repetition_penalty: ['1'],
  encoder_repetition_penalty: ['1'],
  no_repeat_ngram_size: ['0'],
  encoder_no_repeat_ngram_size: ['0'],
  bad_words_ids: [],
  force_words_ids: [],
  constraints: [],
  forced_bos_token_id: [],
  forced_eos_token_id: [],
  exponential_decay_length_penalty: [],
  suppress_tokens: [],
  begin_suppress_tokens: [],
  forced_decoder_ids: [],
  sequence_bias: [],
  token_healing: [],
  guidance_scale: ['1'],
  watermarking_config: [],
};

/**
 * Reads generation_config.json of a model directory. If it is missing, config.json names the tokens that end a text, as
 * in transformers.
 * @throws UserError for an invalid token id, and for an unknown field
 */
export function readGenerationConfig(directory: string): GenerationConfig {
  const path = join(directory, 'generation_config.json');
  if (!isThere(path)) {
    const config = join(directory, 'config.json');
    return { stopTokenIds: isThere(config) ? stops(readSettings(config), config) : [], warnings: [] };
  }
  const json = readSettings(path);
  refuseUnknownFields(json, harmless(...GENERATION_FIELDS), path, UNKNOWN);
  const unused = Object.entries(GREEDY_SETTINGS).flatMap(([name, neutral]) => {
    const value = json[name];
    return isNothing(value) || neutral.includes(shown(value)) ? [] : [`${name} ${shown(value)}`];
  });
  const warning = `${path}: ${unused.join(', ')}: ignored, because an evaluation always generates the most likely token`;
  return { stopTokenIds: stops(json, path), warnings: unused.length > 0 ? [warning] : [] };
}

/** `eos_token_id`: one id, a list, or none. */
function stops({ eos_token_id: ids = null }: JsonObject, path: string): number[] {
  if (ids === null) return [];
  return [ids].flat().map((id) => {
    if (isTokenId(id)) return id;
    throw new UserError(`${path}: eos_token_id ${shown(ids)} is neither a token id nor a list of token ids`);
  });
}

function readSettings(path: string): JsonObject {
  return readJsonObject(path, { maxBytes: SMALL_FILE_BYTES });
}
