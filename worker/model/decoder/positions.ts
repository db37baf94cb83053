import type { Graph, Value } from '../../engine/graph/graph.ts';
import { cast, mul } from '../../engine/ops/elementwise.ts';
import { float32 } from '../../engine/graph/tensor.ts';
import type { Dim } from '../../engine/graph/tensor.ts';
import type { DecoderConfig } from '../config/config.ts';
import { inverseFrequencies } from './rotary.ts';

/** Position of a key that no query may attend to: it is in the future of every query. */
export const PADDING_POSITION = 1e9;

/** A finite number, so that a row without a key to attend to stays finite. */
const MASKED = -1e9;

/** Angles and mask of a pass; they depend only on the positions, not on the padding. */
export interface Positions {
  /** [batch, length] float32. */
  readonly queries: Value;
  /** [batch, length, headDim/2]. */
  readonly cos: Value;
  readonly sin: Value;
  /**
   * Added to attention scores: 0 where the key is not in the query's future (nor out of its window), [batch, 1, 1,
   * length, keys].
   */
  readonly mask: Value;
  readonly keyLength: Dim;
}

/** `queries` [batch, length] and `keys` [batch, keys]: positions in the text, as float32. */
export function positionsOf(graph: Graph, config: DecoderConfig, queries: Value, keys: Value): Positions {
  const [batch, length] = queries.shape as [Dim, Dim];
  const keyLength = keys.shape[1]!;
  const half = config.headDim / 2;
  const frequencies = graph.constant(float32(Float32Array.from(inverseFrequencies(config)), [half]));
  const unsqueeze = (x: Value, axes: number[], shape: Dim[]) =>
    graph.apply('Unsqueeze', [x, graph.integers(...axes)], 'float32', shape);
  const angles = mul(unsqueeze(queries, [2], [batch, length, 1]), frequencies);
  const trigonometric = (operator: 'Cos' | 'Sin') => graph.apply(operator, [angles], 'float32', angles.shape);

  const q = unsqueeze(queries, [1, 2, 4], [batch, 1, 1, length, 1]);
  const k = unsqueeze(keys, [1, 2, 3], [batch, 1, 1, 1, keyLength]);
  const shape = [batch, 1, 1, length, keyLength];
  let hidden = graph.apply('Greater', [k, q], 'bool', shape);
  if (config.slidingWindow !== null) {
    const oldest = graph.apply('Sub', [q, graph.number(config.slidingWindow)], 'float32', q.shape);
    const tooOld = graph.apply('LessOrEqual', [k, oldest], 'bool', shape);
    hidden = graph.apply('Or', [hidden, tooOld], 'bool', shape);
  }
  const mask = mul(cast(hidden, 'float32'), MASKED);
  return { queries, cos: trigonometric('Cos'), sin: trigonometric('Sin'), mask, keyLength };
}
