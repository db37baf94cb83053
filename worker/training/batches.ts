import { batchOrder } from '../data/batch-order.ts';
import type { BatchOrder } from '../data/batch-order.ts';
import type { Sequence } from '../data/sequence.ts';
import type { AlignmentSpec, LocalSpec } from '../../crds/types.ts';

/** The sequences that each step trains on. Rounds are numbered from 1, steps from 0 within their phase. */
export interface BatchSource {
  /** The public sequences that the job's alignments use, in the order of their first use. */
  readonly publicOrder: readonly Sequence[];
  /** The batch of one alignment step, from the public data. */
  alignment(round: number, step: number): readonly Sequence[];
  /** The micro-batches of one local step, from one client's data. */
  local(round: number, client: number, step: number): readonly (readonly Sequence[])[];
}

/** A batch of the longest sequences. No other batch needs more memory. */
export function longestBatch(sequences: readonly Sequence[], batchSize: number): readonly Sequence[] {
  return sequences.toSorted((a, b) => b.inputIds.length - a.inputIds.length).slice(0, batchSize);
}

/** Steps of the alignment before a round. */
export function alignmentSteps({ schedule, initialSteps, stepsPerRound }: AlignmentSpec, round: number): number {
  if (schedule === 'Never') return 0;
  if (round === 1) return initialSteps;
  return schedule === 'EveryRound' ? stepsPerRound : 0;
}

/** Steps of the alignments before all rounds up to this one. */
function alignmentStepsUpTo(spec: AlignmentSpec, round: number): number {
  return round === 0 ? 0 : alignmentSteps(spec, 1) + (round - 1) * alignmentSteps(spec, 2);
}

/**
 * Draws batches from shuffled passes over the data. The batch of a step depends only on (seed, client, round, step), so
 * a resumed run uses the same batches.
 */
export function sampledBatches(options: {
  publicSequences: readonly Sequence[];
  clients: readonly (readonly Sequence[])[];
  alignment: AlignmentSpec;
  local: LocalSpec;
  rounds: number;
  seed: number;
  shuffle: boolean;
}): BatchSource {
  const { publicSequences, clients, alignment, local, rounds, seed, shuffle } = options;
  const order = (count: number, batchSize: number, ...labels: (string | number)[]): BatchOrder =>
    batchOrder(count, batchSize, { seed, labels, shuffle });
  const publicOrder = order(publicSequences.length, alignment.batchSize, 'public');
  const clientOrders = clients.map((sequences, client) => order(sequences.length, local.batchSize, 'client', client));
  const firstPass =
    publicSequences.length > 0 ? order(publicSequences.length, publicSequences.length, 'public').batchAt(0) : [];
  const used = alignmentStepsUpTo(alignment, rounds) * alignment.batchSize;
  return {
    publicOrder: firstPass.slice(0, used).map((index) => publicSequences[index]!),
    alignment: (round, step) =>
      publicOrder.batchAt(alignmentStepsUpTo(alignment, round - 1) + step).map((index) => publicSequences[index]!),
    local: (round, client, step) =>
      Array.from({ length: local.gradientAccumulation }, (_, micro) => {
        const at = ((round - 1) * local.steps + step) * local.gradientAccumulation + micro;
        return clientOrders[client]!.batchAt(at).map((index) => clients[client]![index]!);
      }),
  };
}
