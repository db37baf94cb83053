import { ORT_DOMAIN } from '../graph/graph.ts';
import type { Value } from '../graph/graph.ts';
import type { Dim } from '../graph/tensor.ts';
import { cast } from './elementwise.ts';
import { reshape } from './shape.ts';

/** Longer sequences are computed in tiles: shorter ones take less time with all scores of a head at once. */
export const UNTILED_TOKENS = 512;

/** What the attention of a batch of whole sequences needs to know of them; the same for all layers. */
export interface WholeSequences {
  /** Added to the scores, [batch, 1, length, length]. */
  readonly mask: Value;
  /** Whether the batch is computed in tiles, [] (bool). */
  readonly tiled: Value;
  /** Index of each sequence's last key, [batch] (int32). Padding on the right counts: causality hides it. */
  readonly lastKeys: Value;
  /** Number of keys, [] (int32). */
  readonly keys: Value;
}

/** Of sequences that begin at position 0, with positions [batch, length] and mask [batch, 1, 1, length, length]. */
export function wholeSequences(positions: Value, mask: Value): WholeSequences {
  const { graph } = positions;
  const [batch, length] = positions.shape as [string, string];
  const count = graph.dimension(length);
  const last = cast(graph.apply('Sub', [count, graph.integers(1)], 'int64', [1]), 'int32');
  const long = graph.apply('Greater', [count, graph.integers(UNTILED_TOKENS)], 'bool', [1]);
  return {
    mask: reshape(mask, [batch, 1, length, length]),
    tiled: reshape(long, []),
    lastKeys: graph.apply('Expand', [last, graph.dimension(batch)], 'int32', [batch]),
    keys: reshape(cast(count, 'int32'), []),
  };
}

export interface AttentionHeads {
  readonly heads: number;
  readonly keyValueHeads: number;
  /** A query sees its own and the window − 1 positions before it; null: all before it. */
  readonly window: number | null;
}

/**
 * Attention of whole sequences without a gradient, in one operator: q [batch, length, heads·d], k and v [batch, length,
 * keyValueHeads·d], of which q and k are rotated; yields q's shape. Untiled it computes as `attention` does, with one
 * matrix of scores instead of three; in tiles, which skip scores in the future, it has none, and other last bits.
 */
export function wholeAttention(
  q: Value,
  k: Value,
  v: Value,
  sequences: WholeSequences,
  { heads, keyValueHeads, window }: AttentionHeads,
): Value {
  const { graph, dtype, shape } = q;
  const [batch, length, width] = shape as [Dim, Dim, number];
  const { mask, tiled, lastKeys, keys } = sequences;
  const headDim = width / heads;

  const untiled = graph.body();
  const counts = { q_num_heads: heads, kv_num_heads: keyValueHeads };
  untiled.output('o', untiled.apply('Attention', [q, k, v, mask], dtype, shape, counts));
  const tiles = graph.body();
  const byHead = { dtype, shape: [batch, keyValueHeads, length, headDim] };
  const [o] = tiles.applyMany(
    'GroupQueryAttention',
    [q, k, v, undefined, undefined, lastKeys, keys],
    // Keys and values by head, which the operator computes with.
    [{ dtype, shape }, byHead, byHead],
    {
      num_heads: heads,
      kv_num_heads: keyValueHeads,
      ...(window === null ? {} : { local_window_size: window }),
    },
    ORT_DOMAIN,
  );
  tiles.output('o', o!);
  // The tiled operator refuses other widths.
  const branches = { then_branch: headDim % 8 === 0 ? tiles : untiled, else_branch: untiled };
  return graph.apply('If', [tiled], dtype, shape, branches);
}
