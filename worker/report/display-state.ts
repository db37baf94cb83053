import type { Evaluation } from '../../crds/facts/evaluation.ts';
import type { Phase, RunEvent, StepEvent, SweepProgress } from '../../crds/facts/events.ts';
import type { RoundReport } from '../../crds/facts/round.ts';

/**
 * The input of a display: the run's events, and live events in between. A client's steps become run events only when
 * its result is accepted, all at once; `localStep` is emitted as each step is computed.
 */
export type LiveEvent =
  | RunEvent
  | { event: 'measuring'; done: number }
  | ({ event: 'localStep' } & Omit<StepEvent, 'event'>)
  | ({ event: 'sweep' } & SweepProgress)
  | { event: 'evaluating'; done: number; total: number }
  | ({ event: 'quantizing' } & QuantizingProgress);

/** Matrices of the emulator that are rounded to 4 bits, before the run begins. */
export interface QuantizingProgress {
  readonly done: number;
  readonly total: number;
}

/** The events that are shown while something happens, and not recorded. */
const LIVE: readonly LiveEvent['event'][] = ['localStep', 'sweep', 'evaluating', 'measuring', 'quantizing'];

/** Whether an event is one of the run, and not a live one. */
export const isRunEvent = (event: LiveEvent): event is RunEvent => !LIVE.includes(event.event);

/** The state of the display. Times are in seconds on the display's clock. The size is bounded. */
export interface ProgressState {
  /** Number of rounds of the run; 0 until it is known. */
  readonly rounds: number;
  /** The current round, or the last finished one; 0 before the first. */
  readonly round: number;
  readonly roundsDone: number;
  /** Time of the run's first event. */
  readonly began: number;
  readonly phase: PhaseProgress | null;
  /** The share of the layers' importance that is measured, before the run begins. */
  readonly measured: number | null;
  readonly quantizing: QuantizingProgress | null;
  readonly alignmentLoss: number | null;
  readonly localLoss: number | null;
  readonly evaluation: Evaluation | null;
  /** Sums over the rounds that finished since the display started. */
  readonly spent: Spent;
}

export interface PhaseProgress {
  readonly name: Phase;
  readonly began: number;
  /** Steps, or scores and parts of one in an evaluation, done of `total` (null: unknown). */
  readonly done: number;
  readonly total: number | null;
  /**
   * Steps and tokens seen since `began`, and the time of the last one. In a resumed phase, more steps are done than
   * were seen.
   */
  readonly seen: { readonly steps: number; readonly tokens: number; readonly last: number };
  /** Losses of the most recent steps, oldest first. */
  readonly losses: readonly number[];
  /** Progress of the states that are computed before further steps, of each client that waits for some. */
  readonly sweeps: readonly SweepProgress[];
}

export interface Spent {
  readonly rounds: number;
  /** Rounds except the first, whose alignment is longer. */
  readonly laterRounds: number;
  readonly laterAlign: number;
  readonly local: number;
  readonly aggregate: number;
  readonly evaluate: number;
}

/** Number of steps over which the displayed loss is averaged: the loss of single steps is too noisy. */
const SMOOTHING = 20;

export const initialProgress: ProgressState = {
  rounds: 0,
  round: 0,
  roundsDone: 0,
  began: 0,
  phase: null,
  measured: null,
  quantizing: null,
  alignmentLoss: null,
  localLoss: null,
  evaluation: null,
  spent: { rounds: 0, laterRounds: 0, laterAlign: 0, local: 0, aggregate: 0, evaluate: 0 },
};

/** Applies an event that occurred at `now` seconds. */
export function advance(state: ProgressState, event: LiveEvent, now: number): ProgressState {
  switch (event.event) {
    case 'run':
      return { ...state, rounds: event.rounds, began: now, measured: null, quantizing: null };
    case 'measuring':
      return { ...state, measured: event.done };
    case 'phase':
      return { ...state, round: event.round, phase: startPhase(event.phase, event.steps, now) };
    case 'step':
      return event.phase === 'align' ? stepped(state, event, now) : state;
    case 'localStep':
      return stepped(state, event, now);
    case 'sweep':
      return { ...state, round: event.round, phase: sweeping(state.phase, event, now) };
    case 'evaluating': {
      const phase = state.phase?.name === 'evaluate' ? state.phase : startPhase('evaluate', null, now);
      return { ...state, phase: { ...phase, done: event.done, total: event.total } };
    }
    case 'quantizing':
      return { ...state, quantizing: event };
    case 'evaluation':
      return { ...state, evaluation: event };
    case 'round':
      return {
        ...state,
        round: event.round,
        roundsDone: event.round,
        phase: null,
        alignmentLoss: event.alignmentLoss ?? state.alignmentLoss,
        localLoss: event.localLoss,
        spent: addRound(state.spent, event),
      };
    default:
      return state;
  }
}

function startPhase(name: Phase, total: number | null, now: number): PhaseProgress {
  return { name, began: now, done: 0, total, seen: { steps: 0, tokens: 0, last: now }, losses: [], sweeps: [] };
}

function sweeping(current: PhaseProgress | null, sweep: SweepProgress, now: number): PhaseProgress {
  const phase = current?.name === sweep.phase ? current : startPhase(sweep.phase, null, now);
  const others = phase.sweeps.filter(({ client }) => client !== sweep.client);
  return { ...phase, sweeps: sweep.done < 1 ? [...others, sweep] : others };
}

function stepped(state: ProgressState, step: Omit<StepEvent, 'event'>, now: number): ProgressState {
  // A run resumed within a phase emits the phase's steps, but not its start.
  const phase = state.phase?.name === step.phase ? state.phase : startPhase(step.phase, null, now - step.ms / 1000);
  const losses = [...phase.losses.slice(1 - SMOOTHING), step.loss];
  const loss = losses.reduce((a, b) => a + b, 0) / losses.length;
  return {
    ...state,
    round: step.round,
    phase: {
      ...phase,
      // Clients compute steps in parallel, so their steps are counted. Alignment steps are numbered.
      done: step.phase === 'align' ? step.step + 1 : phase.done + 1,
      seen: { steps: phase.seen.steps + 1, tokens: phase.seen.tokens + step.tokens, last: now },
      losses,
    },
    ...(step.phase === 'align' ? { alignmentLoss: loss } : { localLoss: loss }),
  };
}

function addRound(spent: Spent, { round, seconds }: RoundReport): Spent {
  const later = round > 1;
  return {
    rounds: spent.rounds + 1,
    laterRounds: spent.laterRounds + (later ? 1 : 0),
    laterAlign: spent.laterAlign + (later ? seconds.align : 0),
    local: spent.local + seconds.local,
    aggregate: spent.aggregate + seconds.aggregate,
    evaluate: spent.evaluate + seconds.evaluate,
  };
}
