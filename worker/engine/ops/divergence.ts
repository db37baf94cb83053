import { plain, type Value } from '../graph.ts';
import { inBlocks } from './blocks.ts';
import { mul, sub } from './elementwise.ts';
import { gemm, matmul } from './matrix.ts';
import { softmax } from './normalization.ts';
import { concat, reduceSum, reshape, split } from './shape.ts';

/**
 * Weighted Kullback–Leibler divergence between the vocabulary distributions of a fixed teacher and a student:
 *   Σ_i w_i · Σ_v P_T(v)·(ln P_T(v) − ln P_S(v)),  P = softmax(y·Eᵀ)
 * teacher, student [m, d], weights [m]; the head E [vocabulary, d] as slices of it, one below the other. Only the student takes a gradient:
 * w_i·(P_S − P_T)·E, which is computed with the loss, so that probabilities, the largest tensors there are, exist for a block of rows at
 * a time, and logits for one slice of the vocabulary.
 */
export function divergence(teacher: Value, student: Value, head: readonly Value[], weights: Value): Value {
  const w = reshape(weights, [student.shape[0]!, 1]);
  const vocabulary = head.reduce((sum, { shape: [rows] }) => sum + Number(rows), 0);
  let gradient = student;
  const build = () => {
    const [rowLoss, slope] = inBlocks([teacher, student], divergenceBlock(vocabulary), ([yT, yS]) => divergenceRows(yT!, yS!, head)) as [Value, Value];
    gradient = slope;
    return reduceSum(mul(rowLoss, w), [0, 1], false);
  };
  return student.graph.fused([student], build, (dL) => [plain(mul(gradient, mul(w, dL)))]);
}

/**
 * Of each row, the divergence [m, 1] and its gradient with respect to the student's states, (P_S − P_T)·E [m, d]. A slice's softmax lacks
 * only its share of the whole, which is known when all slices have been seen: P = share·p, with share = softmax over slices of their ln Σ exp(z).
 */
function divergenceRows(teacher: Value, student: Value, head: readonly Value[]): [Value, Value] {
  const slices = head.map((slice) => {
    const zT = gemm(teacher, slice, { transB: true });
    const zS = gemm(student, slice, { transB: true });
    const pT = softmax(zT);
    const pS = softmax(zS);
    return { slice, pT, pS, massT: logSumExp(zT, pT), massS: logSumExp(zS, pS), gap: rowDot(pT, sub(zT, zS)) };
  });
  const wholeT = joined(slices.map(({ massT }) => massT));
  const wholeS = joined(slices.map(({ massS }) => massS));
  // Σ P_T (z_T − z_S)
  const gap = rowDot(wholeT.shares, concat(slices.map(({ gap }) => gap), 1));
  const sharesT = split(wholeT.shares, 1, head.map(() => 1));
  const sharesS = split(wholeS.shares, 1, head.map(() => 1));
  const slope = slices.reduce<Value | undefined>((c, { slice, pT, pS }, i) => gemm(sub(mul(pS, sharesS[i]!), mul(pT, sharesT[i]!)), slice, { c }), undefined);
  return [sub(gap, sub(wholeT.mass, wholeS.mass)), slope!];
}

/** From ln Σ exp(z) of each slice [m, 1] that of the whole [m, 1], and the shares of the slices in it [m, slices]. */
function joined(masses: readonly Value[]): { mass: Value; shares: Value } {
  const all = concat(masses, 1);
  const shares = softmax(all);
  return { mass: logSumExp(all, shares), shares };
}

/** ln Σ exp(z) per row from z and its softmax p: at the row's maximum, ln Σ exp(z) = z − ln p. */
function logSumExp(z: Value, p: Value): Value {
  const { graph } = z;
  const rowMax = (x: Value) => graph.apply('ReduceMax', [x, graph.integers(1)], 'float32', [x.shape[0]!, 1], { keepdims: 1 });
  return sub(rowMax(z), graph.apply('Log', [rowMax(p)], 'float32', [z.shape[0]!, 1]));
}

/** Σ_j a_ij·b_ij [m, 1]: as products of single rows, which read both once and write nothing between. */
function rowDot(a: Value, b: Value): Value {
  const [rows, width] = a.shape as [string, number];
  const row = (x: Value) => reshape(x, [rows, 1, width]);
  return reshape(matmul(row(a), row(b), { transB: true }), [rows, 1]);
}

/** Probabilities of a block, the teacher's and the student's: 128 MiB each at most. */
const BLOCK_ELEMENTS = 2 ** 25;

/** Rows that a divergence computes at a time: with a very large vocabulary still enough to keep its products busy. */
export function divergenceBlock(vocabulary: number): number {
  return Math.max(64, Math.floor(BLOCK_ELEMENTS / vocabulary));
}

/** Numbers that a divergence of so many rows holds at most: a block's probabilities, and what a slice needs between its products. */
export function divergenceElements(rows: number, vocabulary: number): number {
  return Math.min(rows, divergenceBlock(vocabulary)) * (2 * vocabulary + 6 * Math.min(vocabulary, SLICE_ROWS));
}

/** Rows of the head in a slice at most: what is computed between two products then stays in the caches. */
const SLICE_ROWS = 7168;

/**
 * Cuts a vocabulary into slices [from, to) of nearly equal size. A multiple of 16: rows of logits then begin where cache lines do; seldom a
 * large power of two, which would put all of them in the same few places of the caches.
 */
export function vocabularySlices(vocabulary: number): (readonly [from: number, to: number])[] {
  const count = Math.ceil(vocabulary / SLICE_ROWS);
  const size = Math.ceil(vocabulary / count / 16) * 16;
  return Array.from({ length: Math.ceil(vocabulary / size) }, (_, i) => [i * size, Math.min((i + 1) * size, vocabulary)] as const);
}
