import type { TextExample } from '../data/example.ts';

/** What an evaluation measures besides the loss. */
export type Task = GenerationTask | LikelihoodTask;

/** Scores what the model writes after an example's prompt. */
export interface GenerationTask {
  readonly name: string;
  readonly generates: true;
  /** Throws UserError for an example whose answer no prediction could be compared with. */
  check(example: TextExample): void;
  score(prediction: string, example: TextExample): PredictionScore;
}

export interface PredictionScore {
  /** 0 or 1. */
  readonly accuracy: number;
  /** In [0, 1], where the task has partial credit. */
  readonly f1?: number;
}

/** Scores the forward pass over an example's own text, without generation. */
export interface LikelihoodTask {
  readonly name: string;
  readonly generates: false;
  /** From tokens counted over all examples. Null where the task has no accuracy. */
  accuracy(counts: TokenCounts): number | null;
}

export interface TokenCounts {
  /** Tokens that carry loss. */
  readonly labelled: number;
  /** Those among them that the model gives the highest probability, given the true tokens before. */
  readonly correct: number;
}
