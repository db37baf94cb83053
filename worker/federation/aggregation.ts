import type { FederationSpec } from '../../crds/types.ts';

/** A client's trained adapter, and the number of samples it was trained on. */
export interface WeightedUpdate {
  readonly samples: number;
  readonly adapter: Float32Array;
}

/** Combines the clients' vectors into one vector of `size` elements. They arrive one at a time, in client order. */
export type Aggregation = (size: number, updates: AsyncIterable<WeightedUpdate>) => Promise<Float32Array>;

/**
 * FedAvg: the mean of the clients' vectors weighted by their training samples, Σ nₖ wₖ / Σ nₖ. Sums are computed in
 * double precision, in the order of `updates` (the coordinator passes them in client order), and rounded to float32
 * once, so the same updates give the same bits. Vectors are read one at a time: memory does not grow with the number of
 * clients.
 * @param size elements of each vector
 */
export async function federatedAverage(size: number, updates: AsyncIterable<WeightedUpdate>): Promise<Float32Array> {
  const sum = new Float64Array(size);
  let total = 0;
  for await (const { samples, adapter } of updates) {
    if (!(samples > 0)) throw new RangeError(`an update of ${samples} samples has no weight`);
    if (adapter.length !== size) throw new RangeError(`an update of ${adapter.length} elements, not ${size}`);
    for (let i = 0; i < size; i++) sum[i]! += samples * adapter[i]!;
    total += samples;
  }
  if (total === 0) throw new RangeError('no updates to average');
  return Float32Array.from(sum, (value) => value / total);
}

/** Every aggregation, by its name in a manifest. */
export const AGGREGATIONS: Readonly<Record<FederationSpec['aggregation']['kind'], Aggregation>> = {
  FedAvg: federatedAverage,
};
