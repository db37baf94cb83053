import { plain } from '../graph/graph.ts';
import type { Value } from '../graph/graph.ts';
import { inBlocks } from './blocks.ts';
import { cast, log, mul, neg } from './elementwise.ts';
import { gemm } from './matrix.ts';
import { softmax } from './normalization.ts';
import { concat, reduceSum, reshape, split } from './shape.ts';
import { heldElements, joinSlices, logSumExp, vocabularyBlock, vocabularyOf } from './vocabulary.ts';

/**
 * Smallest probability that a loss distinguishes from zero: a row's loss is clipped at −ln(1e-37) ≈ 85 nats; its
 * gradient is not.
 */
const MIN_PROBABILITY = 1e-37;

/**
 * Weighted cross-entropy of the logits of a fixed head, y·Eᵀ:
 *   Σ_i w_i · −ln P_i(label_i),  P = softmax(y·Eᵀ)
 * y [m, d], labels [m] (int32), weights [m]; the head E [vocabulary, d] as slices of it, one below the other. Rows
 * without a label should be left out: the vocabulary's products dominate a client's step, so the caller gathers
 * labelled rows first. The gradient with respect to y is w_i·(P_i − onehot(label_i))·E; it is computed with the loss,
 * as for a divergence.
 */
export function crossEntropy(y: Value, head: readonly Value[], labels: Value, weights: Value): Value {
  const w = column(weights);
  let gradient = y;
  const build = () => {
    const [rowLoss, slope] = inBlocks([y, column(labels)], vocabularyBlock(vocabularyOf(head)), ([y, label]) =>
      crossEntropyRows(y!, head, label!),
    ) as [Value, Value];
    gradient = slope;
    return reduceSum(mul(rowLoss, w), [0, 1], false);
  };
  return y.graph.fused([y], build, (dL) => [plain(mul(gradient, mul(w, dL)))]);
}

/** For each row, −ln P(label) [m, 1] and its gradient with respect to y, (P − onehot(label))·E [m, d]; label [m, 1]. */
function crossEntropyRows(y: Value, head: readonly Value[], label: Value): [Value, Value] {
  const slices = head.map((slice, i) => {
    const z = gemm(y, slice, { transB: true });
    const p = softmax(z);
    const place = placeIn(label, vocabularyOf(head.slice(0, i)), vocabularyOf([slice]));
    return { slice, p, mass: logSumExp(z, p), place, picked: mul(pick(p, place.index), place.isInside) };
  });
  const { shares } = joinSlices(slices.map(({ mass }) => mass));
  const likelihood = reduceSum(
    mul(
      shares,
      concat(
        slices.map(({ picked }) => picked),
        1,
      ),
    ),
    [1],
    true,
  );
  const share = split(
    shares,
    1,
    head.map(() => 1),
  );
  const slope = slices.reduce<Value | undefined>(
    (c, { slice, p, place }, i) => gemm(addAt(mul(p, share[i]!), place.index, neg(place.isInside)), slice, { c }),
    undefined,
  );
  return [negativeLog(likelihood), slope!];
}

/**
 * Maximum number of values that a cross-entropy of so many rows holds: a block's probabilities and the intermediate
 * values of a slice.
 */
export function crossEntropyElements(rows: number, vocabulary: number): number {
  return heldElements(rows, vocabulary, { whole: 1, part: 2 });
}

/** The same from logits z [m, vocabulary], for a head that is trained. Gradient: w_i·(P_i − onehot(label_i)). */
export function crossEntropyOfLogits(z: Value, labels: Value, weights: Value): Value {
  const w = column(weights);
  let p = z;
  const build = () => {
    p = softmax(z);
    return reduceSum(mul(negativeLog(pick(p, column(labels))), w), [0, 1], false);
  };
  return z.graph.fused([z], build, (dL) => {
    const dw = mul(w, dL);
    return [plain(addAt(mul(p, dw), column(labels), neg(dw)))];
  });
}

/** −ln P_i(label_i) [m] of logits z [m, vocabulary]. */
export function negativeLogLikelihood(z: Value, labels: Value): Value {
  return reshape(negativeLog(pick(softmax(z), column(labels))), [z.shape[0]!]);
}

function negativeLog(p: Value): Value {
  const { graph, shape } = p;
  return neg(log(graph.apply('Max', [p, graph.number(MIN_PROBABILITY)], 'float32', shape)));
}

/**
 * Where labels [m, 1] are in a slice of the vocabulary of so many tokens: an index that is always valid, and 1 if it is
 * the label's, else 0.
 */
function placeIn(label: Value, from: number, tokens: number): { index: Value; isInside: Value } {
  const { graph, shape } = label;
  const integer = (x: number) => graph.constant({ dtype: 'int32', shape: [], data: Int32Array.of(x) });
  const wanted = graph.apply('Sub', [label, integer(from)], 'int32', shape);
  const index = graph.apply('Clip', [wanted, integer(0), integer(tokens - 1)], 'int32', shape);
  return { index, isInside: cast(graph.apply('Equal', [wanted, index], 'bool', shape), 'float32') };
}

/** The element of each row at index [m, 1]: [m, 1]. */
function pick(x: Value, index: Value): Value {
  return x.graph.apply('GatherElements', [x, index], x.dtype, index.shape, { axis: 1 });
}

/** x with values [m, 1] added at index [m, 1] of each row. */
function addAt(x: Value, index: Value, values: Value): Value {
  return x.graph.apply('ScatterElements', [x, index, values], x.dtype, x.shape, { axis: 1, reduction: 'add' });
}

/** [m] as [m, 1]. */
const column = (x: Value): Value => reshape(x, [x.shape[0]!, 1]);
