import { Graph } from './graph/graph.ts';
import type { Value } from './graph/graph.ts';
import { add, div, mul, sqrt, sub } from './ops/elementwise.ts';
import { reduceSum } from './ops/shape.ts';
import { float32 } from './graph/tensor.ts';
import type { Tensor } from './graph/tensor.ts';

export interface OptimizerOptions {
  readonly kind: 'AdamW' | 'SGD';
  readonly betas: readonly [number, number];
  readonly epsilon: number;
  readonly weightDecay: number;
  readonly momentum: number;
  /** Maximum global L2 norm of the gradient; 0 disables clipping. */
  readonly clipNorm: number;
}

/** Number of flat vectors that an optimizer keeps in addition to the parameters. */
export function momentCount({ kind, momentum }: OptimizerOptions): number {
  return kind === 'AdamW' ? 2 : momentum > 0 ? 1 : 0;
}

/**
 * One optimizer step as a graph, as PyTorch computes it. Inputs: `parameters`, `gradient`, `moment0`, `moment1` [size],
 * and `rates` [3] of `optimizerRates`. Outputs: `parameters.next`, `moment0.next`, `moment1.next` and the gradient's
 * norm before clipping, `norm`.
 */
export function optimizerGraph(size: number, options: OptimizerOptions): Graph {
  const graph = new Graph();
  const vector = (name: string) => graph.input(name, 'float32', [size]);
  const p = vector('parameters');
  const raw = vector('gradient');
  const moments = Array.from({ length: momentCount(options) }, (_, i) => vector(`moment${i}`));
  const [rate, correction1, correction2] = graph.applyMany(
    'Split',
    [graph.input('rates', 'float32', [3]), graph.integers(1, 1, 1)],
    Array.from({ length: 3 }, () => ({ dtype: 'float32', shape: [1] })),
    { axis: 0 },
  ) as [Value, Value, Value];

  const squared = mul(raw, raw);
  const norm = sqrt(reduceSum(squared, [0], true));
  graph.output('norm', norm);
  const clip = options.clipNorm > 0 ? clipFactor(norm, options.clipNorm) : graph.number(1);

  if (options.kind === 'AdamW') {
    const [beta1, beta2] = options.betas;
    // Scalar factors are combined first: most of a step's time is spent in passes over whole vectors.
    const m = add(mul(moments[0]!, beta1), mul(raw, mul(clip, 1 - beta1)));
    const v = add(mul(moments[1]!, beta2), mul(squared, mul(mul(clip, clip), 1 - beta2)));
    const root = sqrt(correction2);
    const step = div(mul(m, div(mul(rate, correction1), root)), add(sqrt(v), div(options.epsilon, root)));
    const decayed = options.weightDecay > 0 ? mul(p, sub(1, mul(rate, options.weightDecay))) : p;
    graph.output('parameters.next', sub(decayed, step));
    graph.output('moment0.next', m);
    graph.output('moment1.next', v);
  } else {
    const g = options.clipNorm > 0 ? mul(raw, clip) : raw;
    const decayed = options.weightDecay > 0 ? add(g, mul(p, options.weightDecay)) : g;
    const direction = options.momentum > 0 ? add(mul(moments[0]!, options.momentum), decayed) : decayed;
    graph.output('parameters.next', sub(p, mul(direction, rate)));
    if (options.momentum > 0) graph.output('moment0.next', direction);
  }
  return graph;
}

/** min(1, limit / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_. */
function clipFactor(norm: Value, limit: number): Value {
  const { graph } = norm;
  return graph.apply('Min', [div(limit, add(norm, 1e-6)), graph.number(1)], 'float32', [1]);
}

/** Learning rate and AdamW's bias corrections 1/(1 − β₁ᵗ), 1/(1 − β₂ᵗ) for step t (from 1). */
export function optimizerRates(options: OptimizerOptions, learningRate: number, t: number): Tensor {
  const [beta1, beta2] = options.betas;
  return float32(Float32Array.of(learningRate, 1 / (1 - beta1 ** t), 1 / (1 - beta2 ** t)));
}
