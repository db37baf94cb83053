import { join } from 'node:path';
import { errorMessage, UserError } from '../../crds/facts/user-error.ts';
import { shown } from '../files/json-value.ts';
import type { JsonObject } from '../files/json-value.ts';
import { isThere, readJsonObject, SMALL_FILE_BYTES } from '../files/read.ts';
import { loadChatTemplate } from './chat-template.ts';
import type { Conversation, RenderOptions } from './chat-template.ts';
import { readGenerationConfig } from './generation-config.ts';
import { buildTokenizer } from './library.ts';
import { TokenizerProblem } from './problem.ts';

/** Converts between text and token ids like Python's `AutoTokenizer` for the same directory. */
export interface Tokenizer {
  /** All ids are below it: the highest id + 1, or the number of rows of the model's embedding if that is smaller. */
  readonly vocabSize: number;
  readonly bosTokenId: number | undefined;
  readonly eosToken: string;
  readonly eosTokenId: number;
  /** The ids that end a generation: the end of sequence, and those in generation_config.json. Ascending. */
  readonly stopTokenIds: readonly number[];
  /** Settings of generation_config.json that an evaluation does not use. */
  readonly generationWarnings: readonly string[];
  readonly padTokenId: number | undefined;
  readonly hasChatTemplate: boolean;
  /** Whether the chat template writes the date into its text. */
  readonly chatTemplateReadsDate: boolean;
  /** Equal to `tok(text, add_special_tokens=…).input_ids` in Python. Special tokens are added by default. */
  encode(text: string, options?: { addSpecialTokens?: boolean }): number[];
  /**
   * Equal to `tok.decode(ids, skip_special_tokens=…)` in Python, except for bytes of a byte-fallback vocabulary that
   * form a byte order mark (lost) or no character (fewer replacement characters). Ids without a token are omitted.
   */
  decode(ids: Iterable<number>, options?: { skipSpecial?: boolean }): string;
  /**
   * The text of a conversation. Encode it without special tokens, because it already contains them. Throws UserError if
   * there is no template.
   */
  applyChatTemplate(conversation: Conversation, options: RenderOptions): string;
}

/** Maximum size of tokenizer.json; the largest published ones have some 35 MB. */
const MAX_TOKENIZER_BYTES = 256 << 20;

/**
 * Loads the tokenizer of a Hugging Face model directory, as described by tokenizer.json. (For the class LlamaTokenizer,
 * transformers 5 replaces rules in the file by its own. Results differ for leading spaces of a text, and after a
 * special token within a text.)
 * @param embedding of the model. A text with a token for which it has no row is refused when it is encoded; real
 * tokenizers have such tokens, which no text contains
 * @throws UserError if the directory has no tokenizer that can be reproduced exactly
 */
export async function loadTokenizer(
  directory: string,
  { vocabSize: rows }: { vocabSize: number } = { vocabSize: Infinity },
): Promise<Tokenizer> {
  const json = readJsonObject(join(directory, 'tokenizer.json'), {
    maxBytes: MAX_TOKENIZER_BYTES,
    hint: "If there is only tokenizer.model, convert it with Python's AutoTokenizer.from_pretrained(dir).save_pretrained(dir).",
  });
  const config = readSettings(directory, 'tokenizer_config.json');
  const specialTokensMap = readSettings(directory, 'special_tokens_map.json');
  refuseOtherIds(config, join(directory, 'tokenizer_config.json'));
  const { library, added } = build(directory, json, { config, specialTokensMap });

  const idOf = (name: string) => {
    const content = added.named[name];
    return content === undefined ? undefined : library.token_to_id(content);
  };
  const eosToken = added.named['eos_token'];
  const eosTokenId = idOf('eos_token');
  if (eosToken === undefined || eosTokenId === undefined || added.withoutId.has(eosToken)) {
    throw new UserError(`the tokenizer of ${directory} has no end-of-sequence token, so no response would ever end`, {
      hint: 'Set eos_token in tokenizer_config.json to one of its tokens.',
    });
  }
  const known = (ids: readonly (number | undefined)[]) => {
    // A character without a token is omitted, as in Python, if the model has no unk_token.
    const found = ids.filter((id) => id !== undefined);
    const beyond = found.find((id) => id >= rows);
    if (beyond === undefined) return found;
    throw new UserError(
      `the tokenizer of ${directory} encodes a text with the token ${shown(library.id_to_token(beyond))} of id ${beyond}, but the embedding has only ${rows} rows`,
      {
        hint: "Remove the token from the tokenizer's files, or add a row for it to the embedding with resize_token_embeddings in Python.",
      },
    );
  };
  known([eosTokenId]);
  if (library.encode('a', { add_special_tokens: true }).ids.at(-1) === eosTokenId) {
    throw new UserError(
      `the tokenizer of ${directory} ends every text with ${eosToken}, so a prompt would end before its response`,
      {
        hint: 'Remove the token from the post_processor in tokenizer.json: it is appended to each response anyway.',
      },
    );
  }
  const vocabSize = [...library.get_vocab().values()].reduce((size, id) => Math.max(size, id + 1), 0);
  const generation = readGenerationConfig(directory);
  const chatTemplate = await loadChatTemplate(directory, config, added.named);

  return {
    vocabSize: Math.min(vocabSize, rows),
    bosTokenId: idOf('bos_token'),
    eosToken,
    eosTokenId,
    stopTokenIds: [...new Set([eosTokenId, ...generation.stopTokenIds])].sort((a, b) => a - b),
    generationWarnings: generation.warnings,
    padTokenId: idOf('pad_token'),
    hasChatTemplate: chatTemplate !== null,
    chatTemplateReadsDate: chatTemplate?.readsDate ?? false,
    encode: (text, { addSpecialTokens = true } = {}) =>
      known(library.encode(text, { add_special_tokens: addSpecialTokens }).ids),
    decode: (ids, { skipSpecial = false } = {}) => {
      const spelled = Array.from(ids).filter((id) => library.id_to_token(id) !== undefined);
      if (spelled.length === 0) return '';
      // Python never "cleans up" the spaces of a BPE tokenizer, regardless of its configuration.
      return library.decode(spelled, { skip_special_tokens: skipSpecial, clean_up_tokenization_spaces: false });
    },
    applyChatTemplate: (conversation, options) => {
      if (chatTemplate) return chatTemplate.render(conversation, options);
      throw new UserError(`the model in ${directory} has no chat template`, {
        hint: 'Set data.*.template to Alpaca, or use an instruction-tuned model.',
      });
    },
  };
}

/** A file that may be missing, which counts as empty. */
function readSettings(directory: string, name: string): JsonObject {
  const path = join(directory, name);
  return isThere(path) ? readJsonObject(path, { maxBytes: SMALL_FILE_BYTES }) : {};
}

/** Settings that make Python tokenise differently from tokenizer.json. (add_bos_token and add_prefix_space do not.) */
function refuseOtherIds(config: JsonObject, path: string): void {
  for (const name of ['split_special_tokens', 'fix_mistral_regex']) {
    const value = config[name] ?? false;
    if (value !== false) {
      throw new UserError(`${path}: ${name} ${shown(value)} is not supported`, {
        hint: 'Load the tokenizer in Python, save it with save_pretrained, and remove the option from the saved file.',
      });
    }
  }
}

function build(
  directory: string,
  json: JsonObject,
  files: Parameters<typeof buildTokenizer>[1],
): ReturnType<typeof buildTokenizer> {
  try {
    return buildTokenizer(json, files);
  } catch (cause) {
    if (cause instanceof TokenizerProblem)
      throw new UserError(`${join(directory, cause.file)} has ${cause.message}, which is not supported`, { cause });
    throw new UserError(`${join(directory, 'tokenizer.json')}: ${errorMessage(cause)}`, { cause });
  }
}
