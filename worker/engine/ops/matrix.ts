import { ORT_DOMAIN, plain } from '../graph/graph.ts';
import type { Contribution, Value } from '../graph/graph.ts';
import { sameShape } from '../graph/tensor.ts';

export interface ProductOptions {
  readonly transA?: boolean;
  readonly transB?: boolean;
  readonly alpha?: number;
}

function attributes({
  transA = false,
  transB = false,
  alpha = 1,
}: ProductOptions): Record<string, number | { float: number }> {
  return { transA: transA ? 1 : 0, transB: transB ? 1 : 0, alpha: { float: alpha } };
}

/**
 * alpha · op(a) · op(b) + c for matrices. The addend c, of the product's shape, costs nothing: low-rank updates,
 * residual sums and sums of gradients go there.
 */
export function gemm(a: Value, b: Value, options: ProductOptions & { c?: Value | undefined } = {}): Value {
  const { transA = false, transB = false, alpha = 1, c } = options;
  const { graph } = a;
  const shape = [a.shape[transA ? 1 : 0]!, b.shape[transB ? 0 : 1]!];
  if (a.shape[transA ? 0 : 1] !== b.shape[transB ? 1 : 0])
    throw new Error(`cannot multiply [${a.shape}] with [${b.shape}]`);
  if (c && !sameShape(c.shape, shape))
    throw new Error(`the addend [${c.shape}] does not have the product's shape [${shape}]`);
  const operands = c ? [a, b, c] : [a, b];
  const y = graph.apply('Gemm', operands, a.dtype, shape, attributes(options));
  return graph.differentiable(operands, y, (dy, wanted) => {
    const da: Contribution = (soFar) =>
      transA
        ? gemm(b, dy, { transA: transB, transB: true, alpha, c: soFar })
        : gemm(dy, b, { transB: !transB, alpha, c: soFar });
    const db: Contribution = (soFar) =>
      transB
        ? gemm(dy, a, { transA: true, transB: transA, alpha, c: soFar })
        : gemm(a, dy, { transA: !transA, alpha, c: soFar });
    return [wanted[0] ? da : undefined, wanted[1] ? db : undefined, plain(dy)];
  });
}

/** alpha · op(a) · op(b) over the last two axes of tensors with equal leading axes. */
export function matmul(a: Value, b: Value, options: ProductOptions = {}): Value {
  const { transA = false, transB = false, alpha = 1 } = options;
  const { graph } = a;
  const shape = [...a.shape.slice(0, -2), a.shape.at(transA ? -1 : -2)!, b.shape.at(transB ? -2 : -1)!];
  const y = graph.apply('FusedMatMul', [a, b], a.dtype, shape, attributes(options), ORT_DOMAIN);
  return graph.differentiable([a, b], y, (dy, wanted) => [
    wanted[0]
      ? plain(
          transA ? matmul(b, dy, { transA: transB, transB: true, alpha }) : matmul(dy, b, { transB: !transB, alpha }),
        )
      : undefined,
    wanted[1]
      ? plain(
          transB ? matmul(dy, a, { transA: true, transB: transA, alpha }) : matmul(a, dy, { transA: !transA, alpha }),
        )
      : undefined,
  ]);
}
