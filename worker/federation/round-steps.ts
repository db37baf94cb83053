import { UserError } from '../../crds/facts/user-error.ts';
import type { Evaluation } from '../../crds/facts/evaluation.ts';
import { open } from '../transport/package.ts';
import { Refused } from '../../crds/facts/refusal.ts';
import { AGGREGATIONS } from './aggregation.ts';
import { collect } from './collect.ts';
import { Diverged, requireFinite } from './diverged.ts';
import { roundBytes } from './lora-package.ts';
import type { Snapshot } from './snapshot.ts';
import { roundId } from './round-context.ts';
import type { RoundContext, RoundStep } from './round-context.ts';
import { measure, NOTHING_SPENT } from './spent.ts';
import { drawClients } from './sampling.ts';
import { aggregated, aligned, aligning, evaluated, next, published, training } from './state.ts';
import type { Aggregate, Align, Checkpoint, Evaluate, Publish } from './state.ts';

/** A long alignment pauses at this interval for a checkpoint. */
const ALIGNMENT_SLICE_SECONDS = 60;

/** The work of the state a run is in. */
export function workOf(snapshot: Snapshot, context: RoundContext): RoundStep {
  const { state } = snapshot;
  switch (state.at) {
    case 'Align':
      return align(snapshot, state, context);
    case 'Publish':
      return publish(snapshot, state, context);
    case 'Collect':
      return collect(snapshot, state, context);
    case 'Aggregate':
      return aggregate(snapshot, state, context);
    case 'Evaluate':
      return evaluate(snapshot, state, context);
    case 'Checkpoint':
      return endRound(snapshot, state, context);
    case 'Finished':
      throw new Error('a finished run has no work left');
  }
}

/** Trains the emulator to imitate the teacher part with the current adapter. A long alignment runs in slices. */
async function* align(snapshot: Snapshot, state: Align, context: RoundContext): RoundStep {
  const { aligner, clock, emit } = context;
  const steps = aligner.steps(state.round);
  if (steps === 0) return yield { ...snapshot, state: aligned(state, [], NOTHING_SPENT) };

  // A slice that continues another one is not a new phase.
  if (snapshot.alignment === null) emit({ event: 'phase', phase: 'align', round: state.round, steps });
  const spent = await measure(context);
  const began = clock.now();
  let tokens = 0;
  const sliceEnd = new AbortController();
  const outcome = await aligner.align({
    round: state.round,
    lora: snapshot.lora,
    from: snapshot.alignment,
    onStep: (step) => {
      emit({ event: 'step', ...step });
      tokens += step.tokens;
      if (clock.now() - began >= ALIGNMENT_SLICE_SECONDS) sliceEnd.abort();
    },
    onSweep: context.onSweep,
    signal: AbortSignal.any([context.signal, sliceEnd.signal]),
  });
  const slice = await spent(tokens);
  if (!outcome.done) return yield { ...snapshot, alignment: outcome.state, state: aligning(state, slice) };

  const { emulator, losses } = outcome;
  requireFinite(context.layouts.emulator, emulator, `the alignment before round ${state.round}`);
  const lora = { ...snapshot.lora, emulator };
  await context.trace?.aligned(state.round, lora);
  yield { ...snapshot, lora, alignment: null, state: aligned(state, losses, slice) };
}

/** Draws the attempt's clients. Collect sends the package, so that a run that resumes in Collect sends it too. */
async function* publish(snapshot: Snapshot, state: Publish, context: RoundContext): RoundStep {
  const { settings, emit } = context;
  const draw = drawClients(settings.seed, state, settings.federation);
  for (const client of draw.dropped)
    emit({ event: 'client', round: state.round, client, outcome: 'dropped', reason: 'simulated' });
  const collecting = published(state, draw, roundBytes(context.layouts, roundId(context, state)));
  const steps = settings.federation.local.steps * training(collecting).length;
  emit({ event: 'phase', phase: 'local', round: state.round, steps });
  yield { ...snapshot, state: collecting };
}

/** Averages the clients' results in client order, reading them from disk. */
async function* aggregate(snapshot: Snapshot, state: Aggregate, context: RoundContext): RoundStep {
  const { clock, emit, layouts, meter, received } = context;
  emit({ event: 'phase', phase: 'aggregate', round: state.round, steps: null });
  // Aggregation uses no GPU.
  const spent = await measure({ clock, meter: { ...meter, gpus: 0 } });
  const stored = await received.of(roundId(context, state));
  async function* updates() {
    for (const { client, samples } of state.reported.toSorted((a, b) => a.client - b.client)) {
      const what = `the stored result of client ${client} in round ${state.round}`;
      const arrival = stored.get(client);
      if (arrival === undefined) throw new UserError(`${what} is missing`, RESULT_LOST);
      yield { samples, adapter: open(await arrival.read(), layouts.adapter, what).vector };
    }
  }
  const aggregate = AGGREGATIONS[context.settings.federation.aggregation.kind];
  try {
    const adapter = await aggregate(layouts.adapter.size, updates());
    await context.trace?.aggregated(state.round, adapter);
    yield { ...snapshot, lora: { ...snapshot.lora, adapter }, state: aggregated(state, await spent()) };
  } catch (error) {
    throw error instanceof Refused ? new UserError(error.message, { ...RESULT_LOST, cause: error }) : error;
  }
}

const RESULT_LOST = {
  hint: 'Remove the newest folder in checkpoints/ and run again with --resume: the round is trained again.',
};

async function* evaluate(snapshot: Snapshot, state: Evaluate, context: RoundContext): RoundStep {
  const { settings, evaluator, emit, signal } = context;
  const { everyRounds } = settings.evaluation;
  const due = state.round === settings.federation.rounds || (everyRounds > 0 && state.round % everyRounds === 0);
  if (evaluator === null || !due) return yield { ...snapshot, state: evaluated(state, null, NOTHING_SPENT) };

  emit({ event: 'phase', phase: 'evaluate', round: state.round, steps: null });
  const spent = await measure(context);
  const evaluation = await evaluator.evaluate({ lora: snapshot.lora, signal, onProgress: context.onEvaluation });
  requireFiniteLosses(evaluation, state.round);
  emit({ event: 'evaluation', round: state.round, ...evaluation });
  yield { ...snapshot, state: evaluated(state, evaluation, await spent()) };
}

/**
 * Finite weights can still produce a loss that is not finite, which neither a checkpoint nor a report can represent.
 */
function requireFiniteLosses(evaluation: Evaluation, round: number): void {
  for (const [model, { loss }] of Object.entries(evaluation)) {
    if (Number.isFinite(loss)) continue;
    throw new Diverged(`the evaluation after round ${round} has diverged: the loss of ${model} is ${loss}`, {
      hint:
        model === 'base'
          ? 'The model gives hidden states that are NaN or infinite without any adapter: use another copy of it.'
          : 'Most often a learning rate is too high: lower it, or clip with optimizer.clipNorm. A client may also have sent weights that are too large.',
    });
  }
}

/** Emits the report of the round. The coordinator then writes the checkpoint, which holds the next state. */
async function* endRound(snapshot: Snapshot, state: Checkpoint, { settings, emit }: RoundContext): RoundStep {
  emit({ event: 'round', ...state.report });
  yield { ...snapshot, state: next(state, settings.federation.rounds) };
}
