import type { RecordOrigin } from './record.ts';

/** A record as text or as token ids, ready to be encoded. */
export type Example = TextExample | TokenizedExample;

export interface TextExample extends RecordOrigin {
  readonly kind: 'text';
  /** What a model is given, in training and in evaluation. */
  readonly prompt: string;
  /** What follows the prompt in training, to the mark that ends the turn. */
  readonly completion: string;
  /** Parts of the prompt that carry loss, too: the assistant's earlier turns. Positions in `prompt`, ascending. */
  readonly earlierCompletions: readonly { readonly start: number; readonly end: number }[];
  /** Whether the tokenizer puts its special tokens around the text; a chat template has written them already. */
  readonly addSpecialTokens: boolean;
  /** The response alone, as a task compares with. */
  readonly response: string;
  readonly acceptedAnswers: readonly string[];
}

export interface TokenizedExample extends RecordOrigin {
  readonly kind: 'tokenized';
  readonly inputIds: readonly number[];
  readonly labels: readonly number[];
}
