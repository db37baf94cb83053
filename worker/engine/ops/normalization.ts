import { plain } from '../graph/graph.ts';
import type { Value } from '../graph/graph.ts';
import { mul, sub } from './elementwise.ts';
import { reduceMean, reduceSum } from './shape.ts';

/**
 * RMSNorm over the last axis: y = w · x / rms(x), rms(x) = √(mean(x²) + ε).
 * With r = 1/rms(x): dx = r·(dy·w) − x·r²·mean(dy·y), dw = Σ_rows dy·x·r.
 */
export function rmsNorm(x: Value, weight: Value, epsilon: number): Value {
  const { graph } = x;
  const last = x.shape.length - 1;
  const [y, r] = graph.applyMany(
    'SimplifiedLayerNormalization',
    [x, weight],
    [
      { dtype: x.dtype, shape: x.shape },
      { dtype: x.dtype, shape: x.shape.with(last, 1) },
    ],
    { axis: -1, epsilon: { float: epsilon }, stash_type: 1 },
  ) as [Value, Value];
  return graph.differentiable([x, weight], y, (dy, wanted) => [
    wanted[0]
      ? plain(sub(mul(mul(dy, weight), r), mul(x, mul(mul(r, r), reduceMean(mul(dy, y), [last], true)))))
      : undefined,
    wanted[1]
      ? plain(
          reduceSum(
            mul(dy, mul(x, r)),
            x.shape.slice(0, -1).map((_, i) => i),
            false,
          ),
        )
      : undefined,
  ]);
}

/** Softmax over the last axis: dx = y·(dy − Σ dy·y). */
export function softmax(x: Value): Value {
  const last = x.shape.length - 1;
  const y = x.graph.apply('Softmax', [x], x.dtype, x.shape, { axis: -1 });
  return x.graph.differentiable([x], y, (dy) => [plain(mul(y, sub(dy, reduceSum(mul(dy, y), [last], true))))]);
}
