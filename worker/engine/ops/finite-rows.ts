import type { Value } from '../graph/graph.ts';
import { mul } from './elementwise.ts';

/** Rows that several matrices multiply are looked at once. */
const known = new WeakMap<Value, Value>();

/**
 * [rows] (float32) of x [rows, width]: NaN for a row with a value that is NaN or infinite, 0 for others. The maximum by
 * which a row is rounded to 8 bits would overlook NaN.
 */
export function nanIfNotFinite(x: Value): Value {
  const found = known.get(x) ?? mul(reducedRows('ReduceL1', x), 0);
  known.set(x, found);
  return found;
}

/** [rows] (float32) of x [rows, width], reduced by an operator. */
export function reducedRows(operator: 'ReduceL1' | 'ReduceMax', x: Value): Value {
  return x.graph.apply(operator, [x, x.graph.integers(1)], 'float32', [x.shape[0]!], { keepdims: 0 });
}
