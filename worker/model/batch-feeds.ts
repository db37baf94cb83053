import { float32, int32, type Tensor } from '../engine/tensor.ts';
import type { RandomStream } from '../random.ts';

/** Token sequences side by side, padded on the right to the longest. */
export interface TokenBatch {
  readonly rows: number;
  /** Columns: tokens of the longest sequence. */
  readonly length: number;
  /** [rows, length] */
  readonly inputIds: Int32Array;
  /** [rows, length], −100 where there is no loss or no token. */
  readonly labels: Int32Array;
  /** [rows] tokens of each row without padding. */
  readonly lengths: Int32Array;
  /** Tokens in all, without padding. */
  readonly tokens: number;
}

/** Inputs `ids` [rows, length] (int32) and `positions` [rows, length]. With padding on the right, causality alone hides it. */
export function tokenFeeds({ rows, length, inputIds }: TokenBatch): { ids: Tensor; positions: Tensor } {
  const positions = Float32Array.from({ length: rows * length }, (_, i) => i % length);
  return { ids: int32(inputIds, [rows, length]), positions: float32(positions, [rows, length]) };
}

/** Input `tokenWeights` [rows·length]: 1/tokens on real tokens, 0 on padding. */
export function tokenWeights({ rows, length, lengths, tokens }: TokenBatch): Tensor {
  const weights = new Float32Array(rows * length);
  lengths.forEach((real, row) => weights.fill(1 / tokens, row * length, row * length + real));
  return float32(weights);
}

export interface LabelFeeds {
  readonly labelledRows: Tensor;
  readonly labels: Tensor;
  readonly labelWeights: Tensor;
}

/**
 * Inputs `labelledRows`, `labels` and `labelWeights` [labelled]: the rows whose next token carries loss. The weights make the
 * loss a mean over labelled tokens, divided by `share` (the number of micro-batches of a step).
 */
export function labelFeeds({ length, labels }: TokenBatch, share = 1): LabelFeeds {
  const rows: number[] = [];
  const targets: number[] = [];
  labels.forEach((label, i) => {
    if (label < 0 || i % length === 0) return;
    rows.push(i - 1);
    targets.push(label);
  });
  const weights = new Float32Array(rows.length).fill(1 / (rows.length * share));
  return { labelledRows: int32(Int32Array.from(rows)), labels: int32(Int32Array.from(targets)), labelWeights: float32(weights) };
}

/** Puts each row's states [its tokens, width] into [rows·length, width], zero on padding. */
export function padStates({ rows, length }: TokenBatch, states: readonly Float32Array[], width: number): Tensor {
  const padded = new Float32Array(rows * length * width);
  states.forEach((state, row) => padded.set(state, row * length * width));
  return float32(padded, [rows * length, width]);
}

/** Input `dropoutKey` [1]: new for every step, and the same when the step is repeated. */
export function dropoutFeed(stream: RandomStream): { dropoutKey: Tensor } {
  const key = (BigInt(stream.uint32()) << 31n) ^ BigInt(stream.uint32());
  return { dropoutKey: { dtype: 'int64', shape: [1], data: BigInt64Array.of(key) } };
}
