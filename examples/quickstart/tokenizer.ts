import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { alpacaPrompt } from '../../worker/data/template.ts';

/** Merges stay within these pieces: a word with the preceding space, a single digit, punctuation, white space. */
const PIECES = String.raw` ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+`;

const EOS = '<|end|>';
const PAD = '<|pad|>';

/**
 * The fixed parts of the Alpaca prompt. Each becomes one token, so that a prompt of 200 characters has 20 tokens.
 */
function templateParts(): string[] {
  const mark = '\u0000';
  return [...new Set([alpacaPrompt(mark, ''), alpacaPrompt(mark, mark)].flatMap((prompt) => prompt.split(mark)))];
}

/**
 * Writes tokenizer.json and tokenizer_config.json of a byte-level BPE tokenizer in Hugging Face's format. Merges are
 * learned until every word of `corpus` is one token. Other texts can be encoded as well, byte by byte if necessary.
 * @returns the number of tokens and the ids of the two special ones
 */
export function writeTokenizer(
  directory: string,
  corpus: readonly string[],
): { size: number; eos: number; pad: number } {
  const alphabet = byteAlphabet();
  const merges = learnMerges(corpus, alphabet);
  const added = [EOS, PAD, ...templateParts()];
  const tokens = [...alphabet, ...merges.map(([left, right]) => left + right)];
  const first = tokens.length;
  const tokenizer = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added.map((content, i) => ({
      id: first + i,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: content === EOS || content === PAD,
    })),
    normalizer: null,
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: PIECES }, behavior: 'Isolated', invert: false },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
      ],
    },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  };
  const config = {
    tokenizer_class: 'PreTrainedTokenizerFast',
    eos_token: EOS,
    pad_token: PAD,
    clean_up_tokenization_spaces: false,
    model_max_length: 128,
  };
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'tokenizer.json'), `${JSON.stringify(tokenizer, null, 1)}\n`);
  writeFileSync(join(directory, 'tokenizer_config.json'), `${JSON.stringify(config, null, 2)}\n`);
  return { size: first + added.length, eos: first, pad: first + 1 };
}

/**
 * Byte-pair encoding: joins the most frequent pair of neighbours until every word is one part. Ties are resolved by
 * name.
 */
function learnMerges(corpus: readonly string[], alphabet: readonly string[]): [string, string][] {
  const counts = new Map<string, number>();
  for (const text of corpus)
    for (const [piece] of text.matchAll(new RegExp(PIECES, 'gu'))) counts.set(piece, (counts.get(piece) ?? 0) + 1);
  let words = [...counts].map(([piece, count]) => ({
    count,
    parts: Array.from(Buffer.from(piece), (byte) => alphabet[byte]!),
  }));
  const merges: [string, string][] = [];
  for (;;) {
    const pairs = new Map<string, { pair: [string, string]; count: number }>();
    for (const { count, parts } of words) {
      for (const [i, right] of parts.entries()) {
        const left = parts[i - 1];
        if (left === undefined) continue;
        const key = `${left} ${right}`;
        pairs.set(key, { pair: [left, right], count: (pairs.get(key)?.count ?? 0) + count });
      }
    }
    const [best] = [...pairs].sort(([a, x], [b, y]) => y.count - x.count || (a < b ? -1 : 1));
    if (!best) return merges;
    const { pair } = best[1];
    merges.push(pair);
    words = words.map(({ count, parts }) => ({ count, parts: joined(parts, pair) }));
  }
}

/** Joins every occurrence of the pair, from left to right. */
function joined(parts: readonly string[], [left, right]: readonly [string, string]): string[] {
  const out: string[] = [];
  for (let i = 0; i < parts.length; i++) {
    const together = parts[i] === left && parts[i + 1] === right;
    out.push(together ? left + right : parts[i]!);
    if (together) i++;
  }
  return out;
}

/** GPT-2's printable character for each byte: the byte itself if it is printable, else a character from U+0100 on. */
function byteAlphabet(): string[] {
  let next = 0x100;
  const printable = (byte: number) => (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++));
}
