import type { LoraState } from './contracts.ts';
import type { CheckpointStore } from './checkpoint.ts';
import type { RefusalCounts } from '../../crds/facts/refusal.ts';
import type { Snapshot, SavedSnapshot } from './snapshot.ts';
import type { RoundContext } from './round-context.ts';
import { workOf } from './round-steps.ts';
import { begin } from './state.ts';

export interface Coordination extends RoundContext {
  readonly checkpoints: Pick<CheckpointStore, 'save'>;
  /** The checkpoint to resume from; null to start from `initial`. */
  readonly from: SavedSnapshot | null;
  readonly initial: LoraState;
  /** Length of metrics.jsonl after the last event. */
  readonly metricsBytes: () => number;
}

export interface Outcome {
  readonly outcome: 'succeeded' | 'interrupted';
  /** The round that was finished last or interrupted. */
  readonly round: number;
  readonly lora: LoraState;
  readonly refusals: RefusalCounts;
}

/**
 * Runs the rounds of a job, from the beginning or from a checkpoint, to the same bits. When `signal` aborts, the
 * current step is finished, a checkpoint is written, and the outcome is `interrupted`.
 *
 * @throws UserError if a trainer fails (such as with a loss that is not finite), a round misses its quorum too often,
 * or the disk is full. The progress until then is in a checkpoint.
 */
export async function coordinate(context: Coordination): Promise<Outcome> {
  const { settings, checkpoints, received, trace, signal } = context;
  let point = context.from ?? { snapshot: start(context.initial), metricsBytes: context.metricsBytes() };
  /** The last point that was saved, or whose saving was tried: a failed save is not repeated on exit. */
  let saved = context.from;
  if (context.from === null) await trace?.initial(context.initial);

  const save = async () => {
    if (point === saved) return;
    saved = point;
    await checkpoints.save(point);
  };
  try {
    while (point.snapshot.state.at !== 'Finished') {
      const { state: before } = point.snapshot;
      for await (const snapshot of workOf(point.snapshot, context))
        point = { snapshot, metricsBytes: context.metricsBytes() };
      if (isDue(before.at, point.snapshot, settings.checkpoint.everyRounds)) await save();
      if (before.at === 'Checkpoint') await received.clear();
      if (signal.aborted) break;
    }
  } catch (error) {
    if (!(signal.aborted && error === signal.reason)) {
      await save().catch((cause: unknown) =>
        context.emit({ event: 'warning', message: `the checkpoint could not be written: ${String(cause)}` }),
      );
      throw error;
    }
  }
  await save();
  const { state, lora, refusals } = point.snapshot;
  return { outcome: state.at === 'Finished' ? 'succeeded' : 'interrupted', round: state.round, lora, refusals };
}

function start(lora: LoraState): Snapshot {
  return { state: begin(1), lora, alignment: null, refusals: {} };
}

/**
 * Whether a checkpoint is due: after every `everyRounds` rounds, after the alignment that follows them, and after each
 * slice of an alignment.
 */
function isDue(before: Snapshot['state']['at'], { state, alignment }: Snapshot, everyRounds: number): boolean {
  const roundIsDue = (state.round - 1) % everyRounds === 0;
  if (before === 'Checkpoint') return roundIsDue || state.at === 'Finished';
  if (before !== 'Align') return false;
  return alignment !== null || (roundIsDue && state.at === 'Publish' && state.alignmentLoss !== null);
}
