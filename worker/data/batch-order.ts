import { randomStream } from '../random.ts';

/** Selects the items of each step's batch. */
export interface BatchOrder {
  /** Indices of the step's `batchSize` items. The result depends only on the step, not on earlier calls. */
  batchAt(step: number): number[];
}

/**
 * An endless order over `count` items. Each pass ("epoch") contains every item once, in the given order or shuffled by
 * the stream (seed, ...labels, epoch). A batch may span two passes.
 */
export function batchOrder(
  count: number,
  batchSize: number,
  { seed, labels, shuffle }: { seed: number; labels: readonly (string | number)[]; shuffle: boolean },
): BatchOrder {
  const items = Array.from({ length: count }, (_, index) => index);
  // Caches the last pass, because steps are mostly requested in order.
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
