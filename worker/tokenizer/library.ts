import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers';
import { isNothing, shown } from '../files/json-value.ts';
import type { JsonObject } from '../files/json-value.ts';
import { addedTokens } from './added-tokens.ts';
import type { AddedTokens, TokenFiles } from './added-tokens.ts';
import { TokenizerProblem } from './problem.ts';
import { vocabularyOf } from './model.ts';
import { rulesOf } from './rules.ts';

/**
 * The part of the library that is used here. Its own declarations do not resolve under `moduleResolution: nodenext`.
 */
export interface Library {
  encode(text: string, options: { add_special_tokens: boolean }): { ids: (number | undefined)[] };
  decode(ids: number[], options: { skip_special_tokens: boolean; clean_up_tokenization_spaces: boolean }): string;
  token_to_id(token: string): number | undefined;
  id_to_token(id: number): string | undefined;
  get_vocab(): Map<string, number>;
}

/** Sections of tokenizer.json. Truncation and padding concern batches, and Python does not apply them by default. */
const SECTIONS = [
  'version',
  'truncation',
  'padding',
  'added_tokens',
  'normalizer',
  'pre_tokenizer',
  'post_processor',
  'decoder',
  'model',
];

/** The parts from which `encode` is reassembled. */
interface Parts extends Library {
  encode_text: (text: string | null) => string[] | null;
  readonly splitter_unnormalized: { split(text: string): string[] };
  readonly splitter_normalized: { split(text: string): string[] };
  readonly added_tokens_map: ReadonlyMap<string, { readonly lstrip: boolean; readonly rstrip: boolean }>;
  readonly normalizer: ((text: string) => string) | null;
  readonly pre_tokenizer: ((text: string, options: { section_index: number }) => string[]) | null;
  readonly model: (pieces: string[]) => string[];
}

/**
 * Creates the library's tokenizer for a tokenizer.json, with only those rules that it applies as Python does.
 * @throws TokenizerProblem for a rule that cannot be reproduced; any Error that the library throws
 */
export function buildTokenizer(
  json: JsonObject,
  files: Omit<TokenFiles, 'listed'>,
): { library: Library; added: AddedTokens } {
  const unknown = Object.keys(json).find((name) => !SECTIONS.includes(name) && !isNothing(json[name]));
  if (unknown !== undefined) throw new TokenizerProblem(`the section ${unknown} = ${shown(json[unknown])}`);
  const vocabulary = vocabularyOf(json['model']);
  const added = addedTokens({ ...files, listed: json['added_tokens'] }, vocabulary);
  const ids = new Map([...vocabulary, ...added.tokens.map(({ content, id }) => [content, id] as const)]);
  const rules = rulesOf(json, (token) => ids.get(token));
  const library: Parts = new LibraryTokenizer(
    {
      added_tokens: added.tokens,
      model: json['model'],
      normalizer: rules.normalizer,
      pre_tokenizer: rules.preTokenizer,
      post_processor: rules.postProcessor,
      decoder: rules.decoder,
    },
    {},
  );
  library.encode_text = (text) => (text === null ? null : encodeText(library, text));
  return { library, added };
}

/**
 * Tokenises a text as the Rust library does. The text is split at the added tokens that match the original text, then
 * each piece is normalised and split at the other added tokens; the rest goes to the pre-tokenizer and the model. White
 * space is Unicode's, unlike JavaScript's trim(), which includes U+FEFF and excludes U+0085.
 */
function encodeText(library: Parts, text: string): string[] {
  const { added_tokens_map: added, normalizer, pre_tokenizer: preTokenizer } = library;
  return cut(library.splitter_unnormalized.split(text), added).flatMap(({ piece, isFirst }) => {
    if (added.has(piece)) return [piece];
    const normalized = normalizer ? normalizer(piece) : piece;
    return cut(library.splitter_normalized.split(normalized), added).flatMap(
      ({ piece: rest, isFirst: isFirstOfPiece }) => {
        if (added.has(rest)) return [rest];
        // For the library, a piece with index 0 is at the beginning of the text.
        const place = { section_index: isFirst && isFirstOfPiece ? 0 : 1 };
        return library.model(preTokenizer ? preTokenizer(rest, place) : [rest]);
      },
    );
  });
}

/** The pieces without the white space that adjacent added tokens include. Empty pieces are dropped. */
function cut(pieces: readonly string[], added: Parts['added_tokens_map']): { piece: string; isFirst: boolean }[] {
  const trimmed = pieces.map((piece, i) => {
    if (added.has(piece)) return piece;
    const withoutEnd = added.get(pieces[i + 1] ?? '')?.lstrip ? piece.replace(/\p{White_Space}+$/u, '') : piece;
    return added.get(pieces[i - 1] ?? '')?.rstrip ? withoutEnd.replace(/^\p{White_Space}+/u, '') : withoutEnd;
  });
  return trimmed.map((piece, i) => ({ piece, isFirst: i === 0 })).filter(({ piece }) => piece !== '');
}
