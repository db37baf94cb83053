import { plain } from '../graph/graph.ts';
import type { Value } from '../graph/graph.ts';
import { cast } from './elementwise.ts';
import { reshape, zerosLike } from './shape.ts';

/**
 * Rows of x [n, d] by index [m] (int32): y[i] = x[index[i]]. Its gradient adds row i of dy to row index[i]; an index
 * may occur more than once.
 */
export function gatherRows(x: Value, index: Value): Value {
  const y = x.graph.apply('Gather', [x, index], x.dtype, [index.shape[0]!, ...x.shape.slice(1)], { axis: 0 });
  return x.graph.differentiable([x], y, (dy) => [plain(scatterRows(dy, index, x))]);
}

/** Sums the rows of y [m, d] into zeros shaped like `like` [n, d], at the rows that index [m] names. */
export function scatterRows(y: Value, index: Value, like: Value): Value {
  const places = cast(reshape(index, [index.shape[0]!, 1]), 'int64');
  return y.graph.apply('ScatterND', [zerosLike(like), places, y], y.dtype, like.shape, { reduction: 'add' });
}
