import type { TextExample } from '../data/example.ts';

/** What an evaluation measures besides the loss. */
export type Task = GenerationTask | LikelihoodTask;

/** Scores the text that the model generates after an example's prompt. */
export interface GenerationTask {
  readonly name: string;
  readonly generates: true;
  /** Throws UserError for an example whose answer cannot be compared with a prediction. */
  check(example: TextExample): void;
  score(prediction: string, example: TextExample): PredictionScore;
}

export interface PredictionScore {
  /** 0 or 1. */
  readonly accuracy: number;
  /** In [0, 1], if the task has partial credit. */
  readonly f1?: number;
}

/** Scores the forward pass over an example's text, without generation. */
export interface LikelihoodTask {
  readonly name: string;
  readonly generates: false;
  /** Computed from token counts of all examples. Null if the task has no accuracy. */
  accuracy(counts: TokenCounts): number | null;
}

export interface TokenCounts {
  /** Number of labelled tokens. */
  readonly labelled: number;
  /** Number of labelled tokens to which the model assigns the highest probability, given the true tokens before. */
  readonly correct: number;
}
