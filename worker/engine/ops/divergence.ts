import { plain } from '../graph/graph.ts';
import type { Value } from '../graph/graph.ts';
import { inBlocks } from './blocks.ts';
import { mul, sub } from './elementwise.ts';
import { gemm, matmul } from './matrix.ts';
import { softmax } from './normalization.ts';
import { concat, reduceSum, reshape, split } from './shape.ts';
import { heldElements, joinSlices, logSumExp, vocabularyBlock, vocabularyOf } from './vocabulary.ts';

/**
 * Weighted Kullback–Leibler divergence between the vocabulary distributions of a fixed teacher and a student:
 *   Σ_i w_i · Σ_v P_T(v)·(ln P_T(v) − ln P_S(v)),  P = softmax(y·Eᵀ)
 * teacher, student [m, d], weights [m]; the head E [vocabulary, d] as slices of it, one below the other. Only the
 * student takes a gradient: w_i·(P_S − P_T)·E, which is computed with the loss, so that probabilities, the largest
 * tensors, exist for only one block of rows, and logits for only one slice of the vocabulary.
 */
export function divergence(teacher: Value, student: Value, head: readonly Value[], weights: Value): Value {
  const w = reshape(weights, [student.shape[0]!, 1]);
  let gradient = student;
  const build = () => {
    const [rowLoss, slope] = inBlocks([teacher, student], vocabularyBlock(vocabularyOf(head)), ([yT, yS]) =>
      divergenceRows(yT!, yS!, head),
    ) as [Value, Value];
    gradient = slope;
    return reduceSum(mul(rowLoss, w), [0, 1], false);
  };
  return student.graph.fused([student], build, (dL) => [plain(mul(gradient, mul(w, dL)))]);
}

/** For each row, the divergence [m, 1] and its gradient with respect to the student's states, (P_S − P_T)·E [m, d]. */
function divergenceRows(teacher: Value, student: Value, head: readonly Value[]): [Value, Value] {
  const slices = head.map((slice) => {
    const zT = gemm(teacher, slice, { transB: true });
    const zS = gemm(student, slice, { transB: true });
    const pT = softmax(zT);
    const pS = softmax(zS);
    return { slice, pT, pS, massT: logSumExp(zT, pT), massS: logSumExp(zS, pS), gap: rowDot(pT, sub(zT, zS)) };
  });
  const wholeT = joinSlices(slices.map(({ massT }) => massT));
  const wholeS = joinSlices(slices.map(({ massS }) => massS));
  // Σ P_T (z_T − z_S)
  const gap = rowDot(
    wholeT.shares,
    concat(
      slices.map(({ gap }) => gap),
      1,
    ),
  );
  const sharesT = split(
    wholeT.shares,
    1,
    head.map(() => 1),
  );
  const sharesS = split(
    wholeS.shares,
    1,
    head.map(() => 1),
  );
  const slope = slices.reduce<Value | undefined>(
    (c, { slice, pT, pS }, i) => gemm(sub(mul(pS, sharesS[i]!), mul(pT, sharesT[i]!)), slice, { c }),
    undefined,
  );
  return [sub(gap, sub(wholeT.mass, wholeS.mass)), slope!];
}

/** Σ_j a_ij·b_ij [m, 1]: as products of single rows, which read both once and write nothing between. */
function rowDot(a: Value, b: Value): Value {
  const [rows, width] = a.shape as [string, number];
  const row = (x: Value) => reshape(x, [rows, 1, width]);
  return reshape(matmul(row(a), row(b), { transB: true }), [rows, 1]);
}

/**
 * Maximum number of values that a divergence of so many rows holds: a block's probabilities and the intermediate values
 * of a slice.
 */
export function divergenceElements(rows: number, vocabulary: number): number {
  return heldElements(rows, vocabulary, { whole: 2, part: 6 });
}
