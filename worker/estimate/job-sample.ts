import type { Sequence } from '../data/sequence.ts';
import { ignoredLabel, sequenceOf } from '../data/sequence.ts';
import type { SequenceSize } from './flops.ts';

/** Some of a job's texts, which stand for all. A list is empty if the job has no such texts. */
export interface JobSample {
  readonly public: readonly Sequence[];
  readonly train: readonly Sequence[];
  readonly heldOut: readonly Sequence[];
  /** Token ids of the prompts that an evaluation continues. */
  readonly prompts: readonly (readonly number[])[];
  /** Numbers of texts in the job. */
  readonly records: { readonly public: number; readonly heldOut: number };
}

export function sizeOf({ inputIds, labels }: Sequence): SequenceSize {
  return { tokens: inputIds.length, labelled: labels.subarray(1).filter((label) => label >= 0).length };
}

/**
 * Sequences of a smaller vocabulary, cut to at most `tokens` tokens. Equal tokens stay equal, so that sequences begin
 * alike where they did. If the cut removes all labels, the last tokens before it are labelled, in the same proportion.
 */
export function reduced(
  sequences: readonly Sequence[],
  { vocabulary, tokens }: { readonly vocabulary: number; readonly tokens: number },
): Sequence[] {
  const within = (ids: Int32Array) => Array.from(ids.subarray(0, tokens), (id) => (id < 0 ? id : id % vocabulary));
  return sequences.map((sequence) => {
    const ids = within(sequence.inputIds);
    const cut = sequenceOf(ids, within(sequence.labels));
    const whole = sizeOf(sequence);
    if (whole.labelled === 0 || sizeOf(cut).labelled > 0) return cut;
    const unlabelled = ids.length - Math.max(1, Math.round((ids.length * whole.labelled) / whole.tokens));
    return sequenceOf(
      ids,
      ids.map((id, i) => (i < unlabelled ? ignoredLabel : id)),
    );
  });
}
