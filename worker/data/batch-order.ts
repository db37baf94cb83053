import { randomStream } from '../random.ts';

/** Which items make up the batch of a step. */
export interface BatchOrder {
  /** Indices of the step's items, `batchSize` of them. The same for the same step, whatever was asked for before. */
  batchAt(step: number): number[];
}

/**
 * An endless order over `count` items in passes ("epochs"), each holding every item once, shuffled anew from the stream
 * (seed, ...labels, epoch), or in the order given. Batches follow each other without a gap, so one may span two passes.
 */
export function batchOrder(
  count: number,
  batchSize: number,
  { seed, labels, shuffle }: { seed: number; labels: readonly (string | number)[]; shuffle: boolean },
): BatchOrder {
  const items = Array.from({ length: count }, (_, index) => index);
  // Remembers the last pass drawn: steps are mostly asked for one after the other.
  let drawn = { epoch: -1, order: items };
  const orderOf = (epoch: number) => {
    if (!shuffle) return items;
    if (drawn.epoch !== epoch) drawn = { epoch, order: randomStream(seed, ...labels, epoch).shuffle(items) };
    return drawn.order;
  };
  return {
    batchAt: (step) =>
      Array.from({ length: batchSize }, (_, row) => {
        const position = step * batchSize + row;
        return orderOf(Math.floor(position / count))[position % count]!;
      }),
  };
}
