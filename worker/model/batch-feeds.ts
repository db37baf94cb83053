import { float32, int32 } from '../engine/graph/tensor.ts';
import type { Tensor } from '../engine/graph/tensor.ts';
import type { RandomStream } from '../random.ts';

/** Token sequences side by side, padded on the right to the longest. */
export interface TokenBatch {
  readonly rows: number;
  /** Columns: tokens of the longest sequence. */
  readonly length: number;
  /** [rows, length] */
  readonly inputIds: Int32Array;
  /** [rows, length], −100 for tokens without loss and for padding. */
  readonly labels: Int32Array;
  /** [rows] tokens of each row without padding. */
  readonly lengths: Int32Array;
  /** Total number of tokens, without padding. */
  readonly tokens: number;
}

/** The sequences' tokens one after the other, without padding: [tokens]. */
export function tokenIds(batch: TokenBatch): Int32Array {
  return realCells(batch).map((cell) => batch.inputIds[cell]!);
}

/**
 * Inputs `positions` and places of a batch with one row per token. A batch of one sequence has no padding: a graph
 * built for such batches has only `positions`.
 */
export function placeFeeds({ rows, length, lengths }: TokenBatch, batchSize?: number): Record<string, Tensor> {
  if (batchSize === 1) return { positions: positions(rows, length) };
  let end = 0;
  return rowPlaces(Array.from(lengths, (tokens) => Int32Array.from({ length: tokens }, () => end++)));
}

/**
 * Inputs `positions` [sequences, length], and the places of rows among them: `cells` [rows], the first place of each,
 * and `rowsOfCells` [sequences, length] (int32), −1 on padding. With padding on the right, causality alone hides it.
 * `rowsOf`: the row of each token of each sequence.
 */
export function rowPlaces(rowsOf: readonly Int32Array[]): Record<string, Tensor> {
  const length = Math.max(...rowsOf.map((rows) => rows.length));
  const rowsOfCells = new Int32Array(rowsOf.length * length).fill(-1);
  const cells: number[] = [];
  rowsOf.forEach((rows, sequence) => {
    rowsOfCells.set(rows, sequence * length);
    rows.forEach((row, i) => (cells[row] ??= sequence * length + i));
  });
  return {
    positions: positions(rowsOf.length, length),
    cells: int32(Int32Array.from(cells)),
    rowsOfCells: int32(rowsOfCells, [rowsOf.length, length]),
  };
}

function positions(sequences: number, length: number): Tensor {
  return float32(
    Float32Array.from({ length: sequences * length }, (_, i) => i % length),
    [sequences, length],
  );
}

/** The cells of [rows, length] that hold a token, in order. */
function realCells({ length, lengths }: TokenBatch): Int32Array {
  return Int32Array.from([...lengths].flatMap((real, row) => Array.from({ length: real }, (_, i) => row * length + i)));
}

/** Input `tokenWeights` [tokens]: 1/tokens each. */
export function tokenWeights({ tokens }: TokenBatch): Tensor {
  return float32(new Float32Array(tokens).fill(1 / tokens));
}

export interface LabelFeeds {
  readonly labelledRows: Tensor;
  readonly labels: Tensor;
  readonly labelWeights: Tensor;
}

/**
 * Inputs `labelledRows`, `labels` and `labelWeights` [labelled]: the rows whose next token carries loss. The weights
 * make the loss a mean over labelled tokens, divided by `share` (the number of micro-batches of a step).
 */
export function labelFeeds(batch: TokenBatch, share = 1): LabelFeeds {
  const { length, labels } = batch;
  const rows: number[] = [];
  const targets: number[] = [];
  realCells(batch).forEach((cell, row) => {
    const label = labels[cell]!;
    if (label < 0 || cell % length === 0) return;
    rows.push(row - 1);
    targets.push(label);
  });
  const weights = new Float32Array(rows.length).fill(1 / (rows.length * share));
  return {
    labelledRows: int32(Int32Array.from(rows)),
    labels: int32(Int32Array.from(targets)),
    labelWeights: float32(weights),
  };
}

/** The states [its tokens, width] of sequences, one below the other: [tokens, width]. */
export function joinStates(states: readonly Float32Array[], width: number): Tensor {
  const joined = new Float32Array(states.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const state of states) {
    joined.set(state, offset);
    offset += state.length;
  }
  return float32(joined, [joined.length / width, width]);
}

/** Input `dropoutKey` [1]: new for every step, but the same when a step is repeated. */
export function dropoutFeed(stream: RandomStream): { dropoutKey: Tensor } {
  const key = (BigInt(stream.uint32()) << 31n) ^ BigInt(stream.uint32());
  return { dropoutKey: { dtype: 'int64', shape: [1], data: BigInt64Array.of(key) } };
}
