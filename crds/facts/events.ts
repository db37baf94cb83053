import Type from 'typebox';
import type { Static } from 'typebox';
import { orNull } from '../json-schema/fields.ts';
import { Evaluation } from './evaluation.ts';
import type { RunPlan } from './plan.ts';
import { RoundReport } from './round.ts';

/** The phases of a round, in order. */
export const PHASES = ['align', 'local', 'aggregate', 'evaluate'] as const;

export type Phase = (typeof PHASES)[number];

const count = Type.Integer({ minimum: 0 });

/** One optimizer step. `round` counts from 1; the initial alignment belongs to round 1. */
export const StepEvent = Type.Object({
  event: Type.Literal('step'),
  phase: Type.Enum(['align', 'local']),
  round: count,
  /** Null for alignment. */
  client: orNull(count),
  /** From 0 within the phase. */
  step: count,
  loss: Type.Number(),
  /** Tokens in the step's batch, without padding. */
  tokens: count,
  ms: Type.Number(),
});

/** An event of a run: one line of metrics.jsonl, and the input of every progress display and report. */
export const RunEvent = Type.Union([
  StepEvent,
  Type.Object({
    event: Type.Literal('run'),
    job: Type.String(),
    method: Type.String(),
    rounds: count,
    clients: count,
    resumedFromRound: orNull(count),
    /** Not checked: another version may have written it, and each start emits a new one. */
    plan: Type.Unsafe<RunPlan>({ type: 'object' }),
    date: Type.Optional(Type.String()),
  }),
  Type.Object({
    event: Type.Literal('phase'),
    phase: Type.Enum([...PHASES]),
    round: count,
    /** Optimizer steps of the phase; null if it has none. */
    steps: orNull(count),
  }),
  Type.Object({
    event: Type.Literal('client'),
    round: count,
    client: count,
    outcome: Type.Enum(['reported', 'dropped']),
    reason: Type.Optional(Type.String()),
  }),
  Type.Object({
    event: Type.Literal('client'),
    round: count,
    /** Null if the result names no client. */
    client: orNull(count),
    outcome: Type.Literal('refused'),
    reason: Type.String(),
  }),
  Type.Object({ event: Type.Literal('evaluation'), round: count, ...Evaluation.properties }),
  Type.Object({ event: Type.Literal('round'), ...RoundReport.properties }),
  Type.Object({ event: Type.Literal('warning'), message: Type.String() }),
  Type.Object({
    event: Type.Literal('end'),
    outcome: Type.Enum(['succeeded', 'interrupted', 'failed']),
    message: Type.String(),
  }),
]);

export type StepEvent = Static<typeof StepEvent>;

/**
 * Progress of the hidden states that the next steps of a phase wait for: a large model computes those of many steps in
 * one sweep. Not an event of the run.
 */
export interface SweepProgress extends Pick<StepEvent, 'phase' | 'round' | 'client'> {
  /** The share of the sweep that is done, from 0 to 1. */
  readonly done: number;
}
export type RunEvent = Static<typeof RunEvent>;
