import type { RecordOrigin } from './record.ts';

/** A record as text or as token ids, ready to be encoded. */
export type Example = TextExample | TokenizedExample;

export interface TextExample extends RecordOrigin {
  readonly kind: 'text';
  /** The model's input, in training and in evaluation. */
  readonly prompt: string;
  /** The text after the prompt in training, including the token that ends the turn. */
  readonly completion: string;
  /** Parts of the prompt that carry loss as well: earlier turns of the assistant. Ascending positions in `prompt`. */
  readonly earlierCompletions: readonly { readonly start: number; readonly end: number }[];
  /** Whether the tokenizer adds its special tokens; the output of a chat template already has them. */
  readonly addSpecialTokens: boolean;
  /** The response alone, with which a task compares. */
  readonly response: string;
  readonly acceptedAnswers: readonly string[];
}

export interface TokenizedExample extends RecordOrigin {
  readonly kind: 'tokenized';
  readonly inputIds: readonly number[];
  readonly labels: readonly number[];
}
