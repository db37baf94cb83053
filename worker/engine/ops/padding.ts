import { plain } from '../graph/graph.ts';
import type { Value } from '../graph/graph.ts';
import { cast, mul } from './elementwise.ts';
import { reshape } from './shape.ts';

/**
 * Places of a batch's tokens after its sequences are padded to equal length. Only attention needs padding; everything
 * else is computed on rows of real tokens, one sequence after the other.
 */
export interface Places {
  /** The cell of each row, or one of them where sequences share it: [rows] (int32), as indices into [batch·length]. */
  readonly cells: Value;
  /** The row of each cell: [cells] (int32), −1 on padding. */
  readonly rows: Value;
  /** 1 where a cell holds a row, 0 on padding: [cells, 1]. */
  readonly filled: Value;
}

/** From `cells` [rows] and `rowsOfCells` [batch, length] (both int32). */
export function placesOf(cells: Value, rowsOfCells: Value): Places {
  const { graph } = cells;
  const rows = reshape(rowsOfCells, ['cells']);
  const column = reshape(rows, ['cells', 1]);
  const zero = graph.constant({ dtype: 'int32', shape: [], data: Int32Array.of(0) });
  return { cells, rows, filled: cast(graph.apply('GreaterOrEqual', [column, zero], 'bool', ['cells', 1]), 'float32') };
}

/**
 * x [rows, d] to [cells, d]. Padding holds the values of some row: results computed from it must not be used. Its
 * gradient is then zero, and is not read. The gradient assumes one cell per row.
 */
export function padRows(x: Value, { cells, rows }: Places): Value {
  const padded = take(x, rows);
  return x.graph.differentiable([x], padded, (dy) => [plain(take(dy, cells))]);
}

/** The rows [rows, d] of x [cells, d]. The gradient of padding is zero. */
export function unpadRows(x: Value, { cells, rows, filled }: Places): Value {
  return x.graph.differentiable([x], take(x, cells), (dy) => [plain(mul(take(dy, rows), filled))]);
}

/** x[index]; an index of −1 takes the last row. */
function take(x: Value, index: Value): Value {
  return x.graph.apply('Gather', [x, index], x.dtype, [index.shape[0]!, ...x.shape.slice(1)], { axis: 0 });
}
