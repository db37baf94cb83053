import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers';
import { UserError } from '../errors.ts';
import { type ChatMessage, loadChatTemplate } from './chat-template.ts';
import { isJsonObject, type JsonObject, spellOut, unsupportedRule } from './tokenizer-rules.ts';

/** Text to token ids and back, as Python's `AutoTokenizer` of the same directory does it. */
export interface Tokenizer {
  /** Highest token id + 1. The model's embedding has at least as many rows. */
  readonly vocabSize: number;
  readonly bosTokenId: number | undefined;
  readonly eosToken: string;
  readonly eosTokenId: number;
  /** Every id that ends a generation: the end of sequence and those of generation_config.json, ascending. */
  readonly stopTokenIds: readonly number[];
  readonly padTokenId: number | undefined;
  readonly hasChatTemplate: boolean;
  /** Equal to `tok(text, add_special_tokens=…).input_ids` in Python. Special tokens are added by default. */
  encode(text: string, options?: { addSpecialTokens?: boolean }): number[];
  /**
   * Equal to `tok.decode(ids, skip_special_tokens=…)` in Python, but for bytes of a byte-fallback vocabulary that spell a byte order
   * mark (lost) or no character at all (fewer replacement characters). Ids without a token are left out.
   */
  decode(ids: Iterable<number>, options?: { skipSpecial?: boolean }): string;
  /** The text of a conversation; encode it without special tokens, as it has its own. Throws UserError without a template. */
  applyChatTemplate(messages: readonly ChatMessage[], options: { addGenerationPrompt: boolean }): string;
}

/**
 * Loads the tokenizer of a Hugging Face model directory, as tokenizer.json describes it. (For the class LlamaTokenizer, transformers 5
 * puts rules of its own in the file's place; they differ at a text's leading spaces and right after a special token within it.)
 * Throws UserError when the directory has no tokenizer that can be reproduced exactly.
 */
export async function loadTokenizer(directory: string): Promise<Tokenizer> {
  const json = await readObject(directory, 'tokenizer.json');
  if (json === null) {
    throw new UserError(`${join(directory, 'tokenizer.json')}: no such file`, {
      hint: "A directory with only tokenizer.model is converted by Python's AutoTokenizer.from_pretrained(dir).save_pretrained(dir).",
    });
  }
  const config = {
    ...(await readObject(directory, 'special_tokens_map.json')),
    ...(await readObject(directory, 'tokenizer_config.json')),
  };
  const generation = (await readObject(directory, 'generation_config.json')) ?? {};
  const unsupported = unsupportedRule(json);
  if (unsupported) throw new UserError(`${join(directory, 'tokenizer.json')} has ${unsupported}, which is not supported`);

  const specialTokens = namedTokens(config);
  const library = build(directory, asPythonLoadsIt(json, config, specialTokens), config);
  const idOf = (name: string) => {
    const content = specialTokens[name];
    return content === undefined ? undefined : library.token_to_id(content);
  };
  const eosToken = specialTokens['eos_token'];
  const eosTokenId = idOf('eos_token');
  if (eosToken === undefined || eosTokenId === undefined) {
    throw new UserError(`the tokenizer of ${directory} has no end-of-sequence token, so no response would ever end`, {
      hint: 'Name one of its tokens as eos_token in tokenizer_config.json.',
    });
  }
  if (library.encode('a', { add_special_tokens: true }).ids.at(-1) === eosTokenId) {
    throw new UserError(`the tokenizer of ${directory} ends every text with ${eosToken}, so a prompt would end before its response`, {
      hint: 'Take the token out of the post_processor in tokenizer.json: it is put after each response anyway.',
    });
  }
  const stops = [generation['eos_token_id']].flat().filter((id) => typeof id === 'number');
  const vocabSize = [...library.get_vocab().values()].reduce((size, id) => Math.max(size, id + 1), 0);
  const render = await loadChatTemplate(directory, config, specialTokens);

  return {
    vocabSize,
    bosTokenId: idOf('bos_token'),
    eosToken,
    eosTokenId,
    stopTokenIds: [...new Set([eosTokenId, ...stops])].sort((a, b) => a - b),
    padTokenId: idOf('pad_token'),
    hasChatTemplate: render !== null,
    encode: (text, { addSpecialTokens = true } = {}) => library.encode(text, { add_special_tokens: addSpecialTokens }).ids,
    decode: (ids, { skipSpecial = false } = {}) => {
      const known = Array.from(ids).filter((id) => library.id_to_token(id) !== undefined);
      if (known.length === 0) return '';
      // Python never "cleans up" the spaces of a BPE tokenizer, whatever its configuration says.
      return library.decode(known, { skip_special_tokens: skipSpecial, clean_up_tokenization_spaces: false });
    },
    applyChatTemplate: (messages, options) => {
      if (render) return render(messages, options);
      throw new UserError(`the model in ${directory} has no chat template`, {
        hint: 'Set data.*.template to Alpaca, or use an instruction-tuned model.',
      });
    },
  };
}

async function readObject(directory: string, name: string): Promise<JsonObject | null> {
  const file = join(directory, name);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return null;
    throw new UserError(`${file} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
  try {
    const value: unknown = JSON.parse(text);
    if (isJsonObject(value)) return value;
  } catch (cause) {
    throw new UserError(`${file} is not JSON: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
  throw new UserError(`${file} does not hold a JSON object`);
}

/** What we use of the library, whose own declarations do not resolve under `moduleResolution: nodenext`. */
interface Library {
  encode(text: string, options: { add_special_tokens: boolean }): { ids: number[] };
  decode(ids: number[], options: { skip_special_tokens: boolean; clean_up_tokenization_spaces: boolean }): string;
  token_to_id(token: string): number | undefined;
  id_to_token(id: number): string | undefined;
  get_vocab(): Map<string, number>;
}

function build(directory: string, json: JsonObject, config: JsonObject): Library {
  try {
    return new LibraryTokenizer(json, config);
  } catch (cause) {
    throw new UserError(`${join(directory, 'tokenizer.json')}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

/** The tokens tokenizer_config.json names, such as `eos_token`: each a text, or an object with the text as `content`. */
function namedTokens(config: JsonObject): Record<string, string> {
  const tokens: Record<string, string> = {};
  for (const name of ['bos_token', 'eos_token', 'unk_token', 'sep_token', 'pad_token', 'cls_token', 'mask_token']) {
    const value = config[name];
    const content = isJsonObject(value) ? value['content'] : value;
    if (typeof content === 'string') tokens[name] = content;
  }
  return tokens;
}

/**
 * tokenizer.json with what Python adds to it on loading: the added tokens of tokenizer_config.json, and its named tokens as special
 * ones. Its post-processor alone decides whether a text begins with a special token; add_bos_token has no effect beside it.
 */
function asPythonLoadsIt(json: JsonObject, config: JsonObject, specialTokens: Readonly<Record<string, string>>): JsonObject {
  const vocab = isJsonObject(json['model']) && isJsonObject(json['model']['vocab']) ? json['model']['vocab'] : {};
  const added: JsonObject[] = Array.isArray(json['added_tokens']) ? json['added_tokens'].filter(isJsonObject) : [];
  const known = new Set(added.map((token) => token['content']));
  const add = (token: JsonObject, id: unknown) => {
    if (known.has(token['content']) || typeof id !== 'number') return;
    known.add(token['content']);
    added.push({ ...token, id });
  };
  const listed = isJsonObject(config['added_tokens_decoder']) ? config['added_tokens_decoder'] : {};
  for (const [id, token] of Object.entries(listed)) if (isJsonObject(token)) add(token, Number(id));
  for (const content of Object.values(specialTokens)) add({ content, special: true }, vocab[content]);
  return { ...json, added_tokens: added, pre_tokenizer: spellOut(json['pre_tokenizer']) };
}
