import { UserError } from '../../crds/facts/user-error.ts';
import { newSha256 } from '../files/sha256.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { recordError } from './record.ts';
import type { Example, TextExample, TokenizedExample } from './example.ts';

/** The label of a token that carries no loss. */
export const ignoredLabel = -100;

/** One training text. */
export interface Sequence {
  /** [length] token ids. */
  readonly inputIds: Int32Array;
  /**
   * [length] The label of each token: its own id if it carries loss, otherwise -100. The loss of token i is that of its
   * prediction from 0 … i-1.
   */
  readonly labels: Int32Array;
  /**
   * First 16 bytes of the SHA-256 of ids and labels, in hex: the key of everything that is computed from this sequence.
   */
  readonly id: string;
}

export interface EncodedExamples {
  readonly sequences: readonly Sequence[];
  /** The index of the example from which each sequence was made. */
  readonly kept: readonly number[];
  /** Examples without a labelled token within the sequence length, which are left out. */
  readonly cutAway: number;
  /** Sequences that were truncated and still have labels. */
  readonly truncated: number;
}

/**
 * Encodes examples with at most `sequenceLength` tokens. All tokens of a response are labelled, and none of a prompt
 * is.
 * @throws UserError if no example remains
 */
export function encodeExamples(
  examples: readonly Example[],
  tokenizer: Tokenizer,
  sequenceLength: number,
): EncodedExamples {
  const sequences: Sequence[] = [];
  const kept: number[] = [];
  let truncated = 0;
  examples.forEach((example, index) => {
    const { ids, labels } = example.kind === 'text' ? encodeText(example, tokenizer) : tokenized(example, tokenizer);
    const sequence = sequenceOf(ids.slice(0, sequenceLength), labels.slice(0, sequenceLength));
    if (!hasTarget(sequence)) return;
    if (ids.length > sequenceLength) truncated++;
    sequences.push(sequence);
    kept.push(index);
  });
  const cutAway = examples.length - sequences.length;
  if (sequences.length > 0) return { sequences, kept, cutAway, truncated };
  const file = examples[0]?.file ?? 'the data';
  throw new UserError(
    `${file}: none of the ${examples.length} records has part of a response within ${sequenceLength} tokens`,
    {
      hint: 'Raise sequenceLength.',
    },
  );
}

/** A sequence of token ids and labels, with its id. */
export function sequenceOf(ids: readonly number[], labels: readonly number[]): Sequence {
  const inputIds = Int32Array.from(ids);
  const labelIds = Int32Array.from(labels);
  const id = newSha256().update(inputIds).update(labelIds).digest('hex').slice(0, 32);
  return { inputIds, labels: labelIds, id };
}

/** The tokens from which an evaluation generates: those before the completion in training. */
export function encodePrompt(example: TextExample, tokenizer: Tokenizer): number[] {
  return encodeParts(partsOf(example).slice(0, -1), tokenizer, example.addSpecialTokens).flat();
}

/** The first token has no prediction, so its label is ignored. */
function hasTarget({ labels }: Sequence): boolean {
  return labels.subarray(1).some((label) => label !== ignoredLabel);
}

function encodeText(example: TextExample, tokenizer: Tokenizer): { ids: number[]; labels: number[] } {
  const parts = partsOf(example);
  const ids = encodeParts(parts, tokenizer, example.addSpecialTokens);
  return {
    ids: ids.flat(),
    labels: ids.flatMap((part, i) => (parts[i]?.isLearned ? part : part.map(() => ignoredLabel))),
  };
}

interface TextPart {
  readonly text: string;
  readonly isLearned: boolean;
}

/** The text of an example, divided where learned parts begin and end. The last part is the completion. */
function partsOf({ prompt, completion, earlierCompletions }: TextExample): TextPart[] {
  const parts: TextPart[] = [];
  let at = 0;
  for (const { start, end } of earlierCompletions) {
    parts.push(
      { text: prompt.slice(at, start), isLearned: false },
      { text: prompt.slice(start, end), isLearned: true },
    );
    at = end;
  }
  return [...parts, { text: prompt.slice(at), isLearned: false }, { text: completion, isLearned: true }];
}

/**
 * Token ids of each part of a text. No token spans two parts. If the tokens before a part stay the same, the part has
 * its tokens in the whole text; otherwise it is tokenised alone. The tokens before a response in training thus equal
 * those from which an evaluation generates.
 */
function encodeParts(parts: readonly TextPart[], tokenizer: Tokenizer, addSpecialTokens: boolean): number[][] {
  let text = '';
  let before: readonly number[] = [];
  return parts.map((part) => {
    text += part.text;
    const whole = tokenizer.encode(text, { addSpecialTokens });
    const ids = startsWith(whole, before)
      ? whole.slice(before.length)
      : encodeApart(part.text, before, whole, tokenizer);
    before = whole;
    return ids;
  });
}

/** Put before a text, because some tokenizers add a space at the beginning of every text. */
const ANCHORS = ['\n', '.', '0'];

/**
 * The tokens of `part` that decode to the text of `whole` when they follow `before`; if none do, those of `part` alone.
 */
function encodeApart(
  part: string,
  before: readonly number[],
  whole: readonly number[],
  tokenizer: Tokenizer,
): number[] {
  const encode = (text: string) => tokenizer.encode(text, { addSpecialTokens: false });
  const text = tokenizer.decode(whole);
  const alone = encode(part);
  const anchored = ANCHORS.flatMap((anchor) => {
    const [first, both] = [encode(anchor), encode(anchor + part)];
    return startsWith(both, first) ? [both.slice(first.length)] : [];
  });
  return [alone, ...anchored].find((ids) => tokenizer.decode([...before, ...ids]) === text) ?? alone;
}

function startsWith(ids: readonly number[], first: readonly number[]): boolean {
  return first.every((id, at) => ids[at] === id);
}

function tokenized(
  example: TokenizedExample,
  tokenizer: Tokenizer,
): { ids: readonly number[]; labels: readonly number[] } {
  const unknown = example.inputIds.find((id) => id >= tokenizer.vocabSize);
  if (unknown === undefined) return { ids: example.inputIds, labels: example.labels };
  throw recordError(
    example,
    `token id ${unknown} is outside the model's vocabulary of ${tokenizer.vocabSize} tokens`,
    "Tokenize the data with this model's tokenizer.",
  );
}
