import type { Provider } from '../engine/compute-protocol.ts';

/** A sequence of a pass without a gradient: its token ids, and an id for its results. */
export interface TokenSequence {
  readonly id: string;
  readonly inputIds: Int32Array;
}

/** Padded tokens of one pass: enough to keep the cores busy with short sequences, few enough to stay in the caches. */
export const PACK_TOKENS = 512;
/**
 * The same for a GPU. The time of a pass over a few hundred tokens is dominated by kernel launches, so larger passes
 * cost little more.
 */
const GPU_PACK_TOKENS = 4096;

/** Tokens of a pass that returns hidden states. A pass that returns logits has PACK_TOKENS on every device. */
export function packTokens(provider: Provider): number {
  return provider === 'cuda' ? GPU_PACK_TOKENS : PACK_TOKENS;
}

/**
 * Splits sequences, in the given order, into groups that are computed together. The grouping can affect a result's
 * bits, because the shape of a product determines the order of its sums. It therefore depends only on the sequences and
 * the limit, never on what is cached.
 */
export function packSequences<S extends TokenSequence>(sequences: readonly S[], tokens = PACK_TOKENS): S[][] {
  const packs: S[][] = [];
  let longest = 0;
  for (const sequence of sequences) {
    const pack = packs.at(-1);
    const length = Math.max(longest, sequence.inputIds.length);
    if (pack && (pack.length + 1) * length <= tokens) {
      pack.push(sequence);
      longest = length;
    } else {
      packs.push([sequence]);
      longest = sequence.inputIds.length;
    }
  }
  return packs;
}

/** Number of sequences per window when packs follow the order of use. */
const WINDOW = 16;

/** Packs in the order of use: sequences that are computed together are needed within a few steps. */
export function packInOrderOfUse<S extends TokenSequence>(sequences: readonly S[], tokens = PACK_TOKENS): S[][] {
  const unique = [...new Map(sequences.map((sequence) => [sequence.id, sequence])).values()];
  const windows = Array.from({ length: Math.ceil(unique.length / WINDOW) }, (_, i) =>
    unique.slice(i * WINDOW, (i + 1) * WINDOW),
  );
  return windows.flatMap((window) => packSequences(groupByPrefix(window), tokens));
}

/** Sequences that share this many first tokens are grouped. Different templates differ earlier. */
const PREFIX_TOKENS = 16;

/**
 * Sorts sequences with a common prefix next to each other, so that they share rows, followed by the others. Both parts
 * are sorted by length, as neighbours of equal length need no padding.
 */
export function groupByPrefix<S extends TokenSequence>(sequences: readonly S[]): S[] {
  const byLength = sequences.toSorted((a, b) => a.inputIds.length - b.inputIds.length);
  const groups = [...Map.groupBy(byLength, ({ inputIds }) => inputIds.subarray(0, PREFIX_TOKENS).join()).values()];
  return [...groups.filter(({ length }) => length > 1), ...groups.filter(({ length }) => length === 1)].flat();
}
