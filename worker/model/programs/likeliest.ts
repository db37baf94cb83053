import type { Value } from '../../engine/graph/graph.ts';
import { cast } from '../../engine/ops/elementwise.ts';

/** The likeliest token of each row of logits [rows, vocabulary]: [rows] (int32). */
export function likeliest(logits: Value): Value {
  const rows = [logits.shape[0]!];
  return cast(logits.graph.apply('ArgMax', [logits], 'int64', rows, { axis: 1, keepdims: 0 }), 'int32');
}

/** 1 where a row's likeliest token is its label, else 0; labels [rows] (int32): [rows] (int32). */
export function isLikeliest(logits: Value, labels: Value): Value {
  return cast(logits.graph.apply('Equal', [likeliest(logits), labels], 'bool', labels.shape), 'int32');
}
