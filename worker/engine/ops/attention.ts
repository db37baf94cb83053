import { plain } from '../graph/graph.ts';
import type { Value } from '../graph/graph.ts';
import type { Dim } from '../graph/tensor.ts';
import { add, mul, sub } from './elementwise.ts';
import { matmul } from './matrix.ts';
import { softmax } from './normalization.ts';
import { reduceSum, reshape } from './shape.ts';

/**
 * Rotary position embedding of x [batch, heads, length, headDim], or [batch, length, heads·headDim], by the half-split
 * rule: with halves (a, b) and angle tables cos, sin [batch, length, headDim/2] it yields (a·cos − b·sin, b·cos +
 * a·sin). The rotation is orthogonal, so its gradient is the rotation by −sin.
 */
export function rotary(x: Value, cos: Value, sin: Value): Value {
  const joined = x.shape.length === 3;
  const heads = joined ? { num_heads: Number(x.shape[2]) / (2 * Number(cos.shape[2])) } : {};
  const y = x.graph.apply('RotaryEmbedding', [x, cos, sin], x.dtype, x.shape, heads);
  return x.graph.differentiable([x], y, (dy) => [plain(rotary(dy, cos, negated(sin)))]);
}

function negated(x: Value): Value {
  return x.graph.apply('Neg', [x], x.dtype, x.shape);
}

/**
 * Scaled dot-product attention with grouped heads, without repeating keys and values.
 * q [batch, heads, length, d]; k, v [batch, keyValueHeads, keys, d]; mask, added to the scores, broadcasts to
 * [batch, keyValueHeads, group, length, keys]. Yields [batch, heads, length, d].
 *
 * P = softmax(q kᵀ/√d + mask), o = P v. Gradient: dP = do vᵀ; dS = P·(dP − rowsum(do·o)), as rowsum(dP·P) =
 * rowsum(do·o); dq = dS k/√d, dk = dSᵀ q/√d, dv = Pᵀ do.
 */
export function attention(q: Value, k: Value, v: Value, mask: Value): Value {
  const { graph } = q;
  const [batch, heads, length, headDim] = q.shape as [Dim, number, Dim, number];
  const [, keyValueHeads, keys] = k.shape as [Dim, number, Dim];
  const group = heads / keyValueHeads;
  const rows = group === 1 ? length : `${group}·${length}`;
  const scale = headDim ** -0.5;
  const grouped = (x: Value) => reshape(x, [batch, keyValueHeads, rows, headDim]);
  let p = q;
  let o = q;
  const build = () => {
    const raw = matmul(grouped(q), k, { transB: true, alpha: scale });
    const masked = add(reshape(raw, [batch, keyValueHeads, group, length, keys]), mask);
    p = reshape(softmax(masked), [batch, keyValueHeads, rows, keys]);
    o = matmul(p, v);
    return reshape(o, q.shape);
  };
  return graph.fused([q, k, v], build, (dy, wanted) => {
    const dO = grouped(dy);
    const dP = matmul(dO, v, { transB: true });
    const dS = mul(p, sub(dP, reduceSum(mul(dO, o), [3], true)));
    return [
      wanted[0] ? plain(reshape(matmul(dS, k, { alpha: scale }), q.shape)) : undefined,
      wanted[1] ? plain(matmul(dS, grouped(q), { transA: true, alpha: scale })) : undefined,
      wanted[2] ? plain(matmul(p, dO, { transA: true })) : undefined,
    ];
  });
}
