import { plain } from '../graph/graph.ts';
import type { Contribution, Value } from '../graph/graph.ts';
import { broadcast, sameShape } from '../graph/tensor.ts';
import type { Shape } from '../graph/tensor.ts';
import { reduceSum, reshape } from './shape.ts';

const CODES = { float32: 1, int32: 6, int64: 7, uint64: 13 } as const;

type Operand = Value | number;

function lift(x: Operand, other: Operand): Value {
  if (typeof x !== 'number') return x;
  if (typeof other === 'number') throw new Error('one operand must be a value of the graph');
  return other.graph.number(x);
}

/** Sums a gradient over the axes that were broadcast. */
function unbroadcast(dy: Value, shape: Shape): Value {
  if (sameShape(dy.shape, shape)) return dy;
  const lead = dy.shape.length - shape.length;
  const axes = dy.shape.flatMap((dim, i) => (i < lead || (shape[i - lead] === 1 && dim !== 1) ? [i] : []));
  return reshape(reduceSum(dy, axes, true), shape);
}

function binary(operator: string, a: Value, b: Value, rule: (dy: Value) => [() => Value, () => Value]): Value {
  const { graph } = a;
  const y = graph.apply(operator, [a, b], a.dtype, broadcast(a.shape, b.shape));
  return graph.differentiable([a, b], y, (dy, wanted) => {
    const [da, db] = rule(dy);
    const contribution = (d: () => Value, to: Value): Contribution => plain(unbroadcast(d(), to.shape));
    return [wanted[0] ? contribution(da, a) : undefined, wanted[1] ? contribution(db, b) : undefined];
  });
}

export function add(x: Operand, y: Operand): Value {
  return binary('Add', lift(x, y), lift(y, x), (dy) => [() => dy, () => dy]);
}

export function sub(x: Operand, y: Operand): Value {
  return binary('Sub', lift(x, y), lift(y, x), (dy) => [() => dy, () => neg(dy)]);
}

export function mul(x: Operand, y: Operand): Value {
  const a = lift(x, y);
  const b = lift(y, x);
  return binary('Mul', a, b, (dy) => [() => mul(dy, b), () => mul(dy, a)]);
}

export function div(x: Operand, y: Operand): Value {
  const a = lift(x, y);
  const b = lift(y, x);
  return binary('Div', a, b, (dy) => [() => div(dy, b), () => neg(div(mul(dy, a), mul(b, b)))]);
}

function unary(operator: string, x: Value, derivative: (dy: Value, y: Value) => Value): Value {
  const y = x.graph.apply(operator, [x], x.dtype, x.shape);
  return x.graph.differentiable([x], y, (dy) => [plain(derivative(dy, y))]);
}

export function neg(x: Value): Value {
  return unary('Neg', x, (dy) => neg(dy));
}

export function exp(x: Value): Value {
  return unary('Exp', x, (dy, y) => mul(dy, y));
}

export function log(x: Value): Value {
  return unary('Log', x, (dy) => div(dy, x));
}

export function sqrt(x: Value): Value {
  return unary('Sqrt', x, (dy, y) => div(dy, mul(y, 2)));
}

export function sigmoid(x: Value): Value {
  return unary('Sigmoid', x, (dy, y) => mul(dy, mul(y, sub(1, y))));
}

/** Converts to another element type; no gradient passes. */
export function cast(x: Value, dtype: keyof typeof CODES): Value {
  return x.dtype === dtype ? x : x.graph.apply('Cast', [x], dtype, x.shape, { to: CODES[dtype] });
}

export function square(x: Value): Value {
  return mul(x, x);
}

/**
 * SwiGLU's gate: silu(gate) · up = gate · σ(gate) · up. One operator of the tape, because its gradient shares
 * s = σ(gate) and t = gate·s: d up = dy · t, and d gate = dy · up · (s + t·(1 − s)) = up · (d up + s·(dy − d up)).
 */
export function swiglu(gate: Value, up: Value): Value {
  const s = sigmoid(gate);
  const t = mul(gate, s);
  return gate.graph.fused(
    [gate, up],
    () => mul(t, up),
    (dy, wanted) => {
      const dUp = mul(dy, t);
      return [
        wanted[0] ? plain(mul(up, add(dUp, mul(s, sub(dy, dUp))))) : undefined,
        wanted[1] ? plain(dUp) : undefined,
      ];
    },
  );
}
