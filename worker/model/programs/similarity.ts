import type { Value } from '../../engine/graph/graph.ts';
import { add, div, mul, neg, sqrt, square, sub } from '../../engine/ops/elementwise.ts';
import { reduceSum } from '../../engine/ops/shape.ts';

/** Distance between the emulator's hidden states and the teacher's. */
export type Similarity = 'L2' | 'L2PerToken' | 'Cosine' | 'Layerwise';

/** Avoids a division by zero for a token whose states are all zero; far below the norm of any real one. */
const TINY = 1e-6;

type Measure = (hE: Value, hT: Value, tokenWeights: Value) => Value;

const squaredNorm = (x: Value): Value => reduceSum(square(x), [1], false);

/** Mean over tokens of ‖h_E − h_T‖² / ‖h_T‖². */
const perToken: Measure = (hE, hT, w) =>
  reduceSum(mul(w, div(squaredNorm(sub(hE, hT)), add(squaredNorm(hT), TINY))), [0], false);

/**
 * hE, hT [rows, hidden]; tokenWeights [rows], 1/tokens. Yields a scalar.
 * - L2 (the paper's): mean(((h_T − h_E)/rms(h_T))²) = Σ‖h_T − h_E‖² / Σ‖h_T‖², with one rms for the whole tensor.
 * - L2PerToken: each token relative to its norm, so that the attention sink does not dominate.
 * - Cosine: −mean cos(h_E, h_T).
 * - Layerwise: L2PerToken at each kept layer; the caller sums.
 */
export const SIMILARITIES: Readonly<Record<Similarity, Measure>> = {
  L2: (hE, hT, w) => {
    const total = (x: Value) => reduceSum(mul(w, squaredNorm(x)), [0], false);
    return div(total(sub(hE, hT)), total(hT));
  },
  L2PerToken: perToken,
  Cosine: (hE, hT, w) => {
    const dot = reduceSum(mul(hE, hT), [1], false);
    const norms = sqrt(mul(add(squaredNorm(hE), TINY), add(squaredNorm(hT), TINY)));
    return neg(reduceSum(mul(w, div(dot, norms)), [0], false));
  },
  Layerwise: perToken,
};
