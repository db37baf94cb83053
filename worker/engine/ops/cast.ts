import type { Value } from '../graph/graph.ts';

const CODES = { float32: 1, int32: 6, int64: 7, uint64: 13 } as const;

/** Another element type; no gradient passes. */
export function cast(x: Value, dtype: keyof typeof CODES): Value {
  return x.dtype === dtype ? x : x.graph.apply('Cast', [x], dtype, x.shape, { to: CODES[dtype] });
}
