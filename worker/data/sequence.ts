import { createHash } from 'node:crypto';
import { UserError } from '../errors.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import { recordError } from './record.ts';
import type { Example, TextExample, TokenizedExample } from './template.ts';

/** The label of a token that carries no loss. */
export const ignoredLabel = -100;

/** One training text. */
export interface Sequence {
  /** [length] token ids. */
  readonly inputIds: Int32Array;
  /** [length] each token's own id where it carries loss, else -100. The loss of token i is of its prediction from 0 … i-1. */
  readonly labels: Int32Array;
  /** First 16 bytes of the SHA-256 of ids and labels, in hex: names what was computed from this very sequence. */
  readonly id: string;
}

export interface EncodedExamples {
  readonly sequences: readonly Sequence[];
  /** The example each sequence was made of, as an index into the examples given. */
  readonly kept: readonly number[];
  /** Examples left out because no labelled token was left within the sequence length. */
  readonly cutAway: number;
  /** Sequences that lost their end, but not every label. */
  readonly truncated: number;
}

/**
 * Encodes examples to at most `sequenceLength` tokens. Prompt and completion are tokenised together; as many labels are masked as
 * the prompt alone has tokens. Throws UserError when no example is left.
 */
export function encodeExamples(examples: readonly Example[], tokenizer: Tokenizer, sequenceLength: number): EncodedExamples {
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
  throw new UserError(`${file}: no response is left within ${sequenceLength} tokens in any of ${examples.length} records`, {
    hint: 'Raise sequenceLength.',
  });
}

/** A sequence of ids and labels, with its name. */
export function sequenceOf(ids: readonly number[], labels: readonly number[]): Sequence {
  const inputIds = Int32Array.from(ids);
  const labelIds = Int32Array.from(labels);
  const id = createHash('sha256').update(inputIds).update(labelIds).digest('hex').slice(0, 32);
  return { inputIds, labels: labelIds, id };
}

/** The tokens an evaluation starts to generate from. */
export function encodePrompt(example: TextExample, tokenizer: Tokenizer): number[] {
  return tokenizer.encode(example.prompt, { addSpecialTokens: example.addSpecialTokens });
}

/** The first token is predicted from nothing, so a label on it is no target. */
function hasTarget({ labels }: Sequence): boolean {
  return labels.subarray(1).some((label) => label !== ignoredLabel);
}

function encodeText(example: TextExample, tokenizer: Tokenizer): { ids: number[]; labels: number[] } {
  const { prompt, completion, addSpecialTokens } = example;
  const ids = tokenizer.encode(prompt + completion, { addSpecialTokens });
  const tokensBefore = (end: number) => tokenizer.encode(prompt.slice(0, end), { addSpecialTokens }).length;
  const spans = example.earlierCompletions.map(({ start, end }) => [tokensBefore(start), tokensBefore(end)] as const);
  const labelled = [...spans, [tokensBefore(prompt.length), ids.length] as const];
  const labels = ids.map((id, at) => (labelled.some(([start, end]) => start <= at && at < end) ? id : ignoredLabel));
  return { ids, labels };
}

function tokenized(example: TokenizedExample, tokenizer: Tokenizer): { ids: readonly number[]; labels: readonly number[] } {
  const unknown = example.inputIds.find((id) => id >= tokenizer.vocabSize);
  if (unknown === undefined) return { ids: example.inputIds, labels: example.labels };
  throw recordError(
    example,
    `token id ${unknown} is not one of the model's ${tokenizer.vocabSize}`,
    "Tokenize the data with this model's own tokenizer.",
  );
}
