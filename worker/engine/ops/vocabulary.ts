import { plain, type Value } from '../graph.ts';
import { inBlocks } from './blocks.ts';
import { mul, neg, sub } from './elementwise.ts';
import { gatherRows, scatterRows } from './gather.ts';
import { gemm } from './matrix.ts';
import { softmax } from './normalization.ts';
import { reduceSum, reshape } from './shape.ts';

/** Smallest probability a loss tells apart from zero: a row's loss is cut off at −ln(1e-37) ≈ 85 nats; its gradient is not. */
const LEAST_PROBABILITY = 1e-37;

/**
 * Weighted cross-entropy of the vocabulary's logits z = y·Eᵀ, head and loss in one operator:
 *   Σ_i w_i · −ln softmax(z_i)[label_i]
 * y [m, d], head E [vocabulary, d], labels [m] (int32), weights [m]. Rows without a label should not be here at all: the
 * vocabulary's product dominates a client's step, so the caller gathers labelled rows first.
 *
 * Gradient: dy_i = w_i·(P_i·E − E[label_i]) without a one-hot matrix; dE = (w·P)ᵀ·y − scatter(label, w·y).
 */
export function crossEntropy(y: Value, head: Value, labels: Value, weights: Value): Value {
  const { graph } = y;
  const w = reshape(weights, [y.shape[0]!, 1]);
  let p = y;
  const build = () => {
    const rows = crossEntropyRows(y, head, labels);
    p = rows.probabilities;
    return reduceSum(mul(rows.nll, weights), [0], false);
  };
  return graph.fused([y, head], build, (dL, wanted) => {
    const dw = mul(w, dL);
    return [
      wanted[0] ? plain(mul(sub(gemm(p, head), gatherRows(head, labels)), dw)) : undefined,
      wanted[1] ? plain(sub(gemm(mul(p, dw), y, { transA: true }), scatterRows(mul(y, dw), labels, head))) : undefined,
    ];
  });
}

/** The parts of a cross-entropy: logits and probabilities [m, vocabulary], negative log-likelihood of each label [m]. */
export function crossEntropyRows(y: Value, head: Value, labels: Value): { logits: Value; probabilities: Value; nll: Value } {
  const { graph } = y;
  const rows = y.shape[0]!;
  const logits = gemm(y, head, { transB: true });
  const probabilities = softmax(logits);
  const column = graph.apply('Unsqueeze', [labels, graph.integers(1)], 'int32', [rows, 1]);
  const picked = graph.apply('GatherElements', [probabilities, column], 'float32', [rows, 1], { axis: 1 });
  const safe = graph.apply('Max', [picked, graph.number(LEAST_PROBABILITY)], 'float32', [rows, 1]);
  return { logits, probabilities, nll: reshape(neg(graph.apply('Log', [safe], 'float32', [rows, 1])), [rows]) };
}

/**
 * Weighted Kullback–Leibler divergence between the vocabulary distributions of a fixed teacher and a student:
 *   Σ_i w_i · Σ_v P_T(v)·(ln P_T(v) − ln P_S(v)),  P = softmax(y·Eᵀ)
 * teacher, student [m, d], head E [vocabulary, d], weights [m]. Only the student takes a gradient: w_i·(P_S − P_T)·E, which is
 * computed with the loss, so that logits and probabilities, the largest tensors there are, exist for a block of rows at a time.
 */
export function divergence(teacher: Value, student: Value, head: Value, weights: Value): Value {
  const w = reshape(weights, [student.shape[0]!, 1]);
  let gradient = student;
  const build = () => {
    const [rowLoss, slope] = inBlocks([teacher, student], divergenceBlock(Number(head.shape[0])), ([yT, yS]) => divergenceRows(yT!, yS!, head)) as [Value, Value];
    gradient = slope;
    return reduceSum(mul(rowLoss, w), [0, 1], false);
  };
  return student.graph.fused([student], build, (dL) => [plain(mul(gradient, mul(w, dL)))]);
}

/** Of each row, the divergence [m, 1] and its gradient with respect to the student's states, (P_S − P_T)·E [m, d]. */
function divergenceRows(teacher: Value, student: Value, head: Value): [Value, Value] {
  const zT = gemm(teacher, head, { transB: true });
  const zS = gemm(student, head, { transB: true });
  const pT = softmax(zT);
  const pS = softmax(zS);
  // Σ P_T (z_T − z_S) = (P_T·E)·(y_T − y_S) would need one more vocabulary product; a row-wise dot does not.
  const expected = reduceSum(mul(pT, sub(zT, zS)), [1], true);
  return [sub(expected, sub(logSumExp(zT, pT), logSumExp(zS, pS))), gemm(sub(pS, pT), head)];
}

/** Logits of a block: 32 MiB, the largest tensors that the allocator reuses (ALLOCATOR in compute.ts). */
const BLOCK_ELEMENTS = 2 ** 23;

/** Rows that a divergence computes at a time: those that fill a block, and with a very large vocabulary enough to keep its products busy. */
export const divergenceBlock = (vocabulary: number): number => Math.max(64, Math.floor(BLOCK_ELEMENTS / vocabulary) - 1);

/** ln Σ exp(z) per row from z and its softmax p: at the row's maximum, ln Σ exp(z) = z − ln p. */
function logSumExp(z: Value, p: Value): Value {
  const { graph } = z;
  const rowMax = (x: Value) => graph.apply('ReduceMax', [x, graph.integers(1)], 'float32', [x.shape[0]!, 1], { keepdims: 1 });
  return sub(rowMax(z), graph.apply('Log', [rowMax(p)], 'float32', [z.shape[0]!, 1]));
}
