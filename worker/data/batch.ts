import type { TokenBatch } from '../model/batch-feeds.ts';
import { ignoredLabel } from './sequence.ts';
import type { Sequence } from './sequence.ts';

/** Token sequences side by side, padded on the right to the longest. */
export interface Batch extends TokenBatch {
  /** [rows] Sequence.id of each row. */
  readonly ids: readonly string[];
}

/** Combines sequences into one batch. `padId` can be any valid token id: no result depends on it. */
export function collate(sequences: readonly Sequence[], padId: number): Batch {
  const rows = sequences.length;
  const lengths = Int32Array.from(sequences, ({ inputIds }) => inputIds.length);
  const length = lengths.reduce((a, b) => Math.max(a, b), 0);
  const inputIds = new Int32Array(rows * length).fill(padId);
  const labels = new Int32Array(rows * length).fill(ignoredLabel);
  sequences.forEach((sequence, row) => {
    inputIds.set(sequence.inputIds, row * length);
    labels.set(sequence.labels, row * length);
  });
  const tokens = lengths.reduce((a, b) => a + b, 0);
  return { rows, length, inputIds, labels, lengths, tokens, ids: sequences.map(({ id }) => id) };
}
