import { plain } from '../graph/graph.ts';
import type { Value } from '../graph/graph.ts';
import { cast, mul } from './elementwise.ts';

/** Multipliers and shifts of splitmix64's finalizer; the multipliers as signed integers. */
const ROUNDS = [
  { shift: 30n, multiplier: BigInt.asIntN(64, 0xbf58476d1ce4e5b9n) },
  { shift: 27n, multiplier: BigInt.asIntN(64, 0x94d049bb133111ebn) },
] as const;
const INCREMENT = BigInt.asIntN(64, 0x9e3779b97f4a7c15n);

/** Number of a hash's highest bits that a float32 holds exactly. */
const UNIFORM_BITS = 24;

/**
 * Inverted dropout: each element of x is zeroed with probability `rate`, the others are scaled by 1/(1 − rate). Which
 * ones is determined by a hash (splitmix64) of (key, site, element): ONNX's Dropout draws from a state that no
 * checkpoint can save. `key` [1] (int64) is new for every step; `site` distinguishes the dropouts of one graph.
 */
export function dropout(x: Value, rate: number, key: Value, site: number): Value {
  const { graph } = x;
  const integer = (n: bigint, shape: number[] = []) =>
    graph.constant({ dtype: 'int64', shape, data: BigInt64Array.of(n) });
  const unsigned = (operator: string, inputs: Value[]) => graph.apply(operator, inputs, 'uint64', x.shape);
  const signed = (operator: string, inputs: Value[]) => graph.apply(operator, inputs, 'int64', x.shape);
  const shiftRight = (bits: Value, by: bigint) =>
    graph.apply('BitShift', [bits, cast(integer(by), 'uint64')], 'uint64', x.shape, { direction: 'RIGHT' });

  const elements = graph.apply('Range', [integer(0n), graph.apply('Size', [x], 'int64', []), integer(1n)], 'int64', [
    'elements',
  ]);
  const indices = signed('Reshape', [elements, graph.apply('Shape', [x], 'int64', [x.shape.length])]);
  const offset = graph.apply('Add', [key, integer(BigInt(site) << 40n, [1])], 'int64', [1]);
  let hash = signed('Mul', [signed('Add', [indices, offset]), integer(INCREMENT)]);
  for (const { shift, multiplier } of ROUNDS) {
    const bits = cast(hash, 'uint64');
    hash = signed('Mul', [cast(unsigned('BitwiseXor', [bits, shiftRight(bits, shift)]), 'int64'), integer(multiplier)]);
  }
  const uniform = cast(shiftRight(cast(hash, 'uint64'), BigInt(64 - UNIFORM_BITS)), 'float32');
  const kept = graph.apply('GreaterOrEqual', [uniform, graph.number(rate * 2 ** UNIFORM_BITS)], 'bool', x.shape);
  const mask = mul(cast(kept, 'float32'), 1 / (1 - rate));
  const y = graph.apply('Mul', [x, mask], x.dtype, x.shape);
  return graph.differentiable([x], y, (dy) => [plain(mul(dy, mask))]);
}
