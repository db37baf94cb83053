import type { Value } from '../graph/graph.ts';
import { log, sub } from './elementwise.ts';
import { softmax } from './normalization.ts';
import { concat } from './shape.ts';

/*
 * Losses over a vocabulary compute logits for one slice of the head and one block of rows at a time. A slice's softmax
 * p becomes the probability P = share·p once all slices have been processed, with share = softmax over slices of their
 * ln Σ exp(z).
 */

/** Maximum rows of the head in a slice: intermediate values then stay in the caches. */
const SLICE_ROWS = 7168;

/**
 * Cuts a vocabulary into slices [from, to) of nearly equal size. A multiple of 16: rows of logits then begin where
 * cache lines do; seldom a large power of two, which would put all of them in the same few places of the caches.
 */
export function vocabularySlices(vocabulary: number): (readonly [from: number, to: number])[] {
  const count = Math.ceil(vocabulary / SLICE_ROWS);
  const size = Math.ceil(vocabulary / count / 16) * 16;
  return Array.from(
    { length: Math.ceil(vocabulary / size) },
    (_, i) => [i * size, Math.min((i + 1) * size, vocabulary)] as const,
  );
}

/** Maximum number of probabilities of a block of rows: 128 MiB. */
const BLOCK_ELEMENTS = 2 ** 25;

/** Minimum rows of a block: enough for efficient products even with a very large vocabulary. */
export function vocabularyBlock(vocabulary: number): number {
  return Math.max(64, Math.floor(BLOCK_ELEMENTS / vocabulary));
}

/**
 * Maximum number of values that a loss of so many rows holds: for a block, `whole` matrices over the vocabulary and
 * `part` over a slice.
 */
export function heldElements(
  rows: number,
  vocabulary: number,
  { whole, part }: { readonly whole: number; readonly part: number },
): number {
  return Math.min(rows, vocabularyBlock(vocabulary)) * (whole * vocabulary + part * Math.min(vocabulary, SLICE_ROWS));
}

/** Rows of the whole head. */
export function vocabularyOf(head: readonly Value[]): number {
  return head.reduce((sum, { shape: [rows] }) => sum + Number(rows), 0);
}

/** From ln Σ exp(z) of each slice [m, 1] that of the whole [m, 1], and the shares of the slices in it [m, slices]. */
export function joinSlices(masses: readonly Value[]): { mass: Value; shares: Value } {
  const all = concat(masses, 1);
  const shares = softmax(all);
  return { mass: logSumExp(all, shares), shares };
}

/** ln Σ exp(z) per row from z and its softmax p: at the row's maximum, ln Σ exp(z) = z − ln p. */
export function logSumExp(z: Value, p: Value): Value {
  const { graph } = z;
  const rowMax = (x: Value) =>
    graph.apply('ReduceMax', [x, graph.integers(1)], 'float32', [x.shape[0]!, 1], { keepdims: 1 });
  return sub(rowMax(z), log(rowMax(p)));
}
