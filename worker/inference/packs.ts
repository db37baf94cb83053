import type { Provider } from '../engine/compute-protocol.ts';

/** What is computed in a pass without a gradient: token ids, and a name for what becomes of them. */
export interface TokenSequence {
  readonly id: string;
  readonly inputIds: Int32Array;
}

/** Padded tokens of one pass: enough to keep the cores busy on short sequences, little enough to stay in the caches. */
export const PACK_TOKENS = 512;
/**
 * The same of a GPU, which takes hardly longer for so many than for a few: what a pass of some hundred tokens costs is
 * the start of its kernels.
 */
const GPU_PACK_TOKENS = 4096;

/** For a pass that yields hidden states; one that yields logits has PACK_TOKENS wherever it is computed. */
export function packTokens(provider: Provider): number {
  return provider === 'cuda' ? GPU_PACK_TOKENS : PACK_TOKENS;
}

/**
 * Cuts sequences, in the given order, into groups that are computed together. The grouping can be part of a result's
 * bits, since the shape of a product decides in which order it is summed; it therefore depends on the sequences and
 * their limit alone, never on what is cached.
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

/** Sequences looked ahead when packs follow the order of use. */
const WINDOW = 16;

/** Packs that follow the order of use: what is computed together is needed within a few steps. */
export function packInOrderOfUse<S extends TokenSequence>(sequences: readonly S[], tokens = PACK_TOKENS): S[][] {
  const unique = [...new Map(sequences.map((sequence) => [sequence.id, sequence])).values()];
  const windows = Array.from({ length: Math.ceil(unique.length / WINDOW) }, (_, i) =>
    unique.slice(i * WINDOW, (i + 1) * WINDOW),
  );
  return windows.flatMap((window) => packSequences(byBeginning(window), tokens));
}

/** Sequences with so many first tokens in common belong together; templates differ sooner. */
const BEGINNING = 16;

/**
 * Sequences that begin alike side by side, so that they share rows, then those that begin like no other; in either part
 * the shortest first, as neighbours of one length need no padding.
 */
export function byBeginning<S extends TokenSequence>(sequences: readonly S[]): S[] {
  const byLength = sequences.toSorted((a, b) => a.inputIds.length - b.inputIds.length);
  const groups = [...Map.groupBy(byLength, ({ inputIds }) => inputIds.subarray(0, BEGINNING).join()).values()];
  return [...groups.filter(({ length }) => length > 1), ...groups.filter(({ length }) => length === 1)].flat();
}
