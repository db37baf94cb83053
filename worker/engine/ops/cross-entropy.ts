import { plain, type Value } from '../graph.ts';
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
