import type { RandomStream } from '../random.ts';

/**
 * A draw from the symmetric Dirichlet distribution: `n` shares that sum to 1. The smaller `alpha`, the more unequal
 * they are.
 */
export function dirichlet(n: number, alpha: number, stream: RandomStream): number[] {
  const logs = Array.from({ length: n }, () => logGamma(alpha, stream));
  const largest = Math.max(...logs);
  const weights = logs.map((log) => Math.exp(log - largest));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / sum);
}

/**
 * The logarithm of a draw from Gamma(shape, 1), by Marsaglia and Tsang (2000). For shape < 1, it uses Gamma(shape + 1)
 * · U^(1/shape) in logarithms, because the draw itself would underflow to 0 for small shapes.
 */
function logGamma(shape: number, stream: RandomStream): number {
  if (shape < 1) return logGamma(shape + 1, stream) + Math.log(1 - stream.uniform()) / shape;
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = stream.normal();
    const v = (1 + c * x) ** 3;
    if (v > 0 && Math.log(1 - stream.uniform()) < 0.5 * x * x + d - d * v + d * Math.log(v))
      return Math.log(d) + Math.log(v);
  }
}
