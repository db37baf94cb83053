import Type from 'typebox';
import type { Static } from 'typebox';
import { ClientLists } from './clients.ts';
import { RoundBytes, RoundCost } from './cost.ts';
import { Evaluation } from './evaluation.ts';
import { RoundFigures } from './round-figures.ts';

/** Wall-clock time of each phase. */
export const PhaseSeconds = Type.Object({
  align: Type.Number(),
  local: Type.Number(),
  aggregate: Type.Number(),
  evaluate: Type.Number(),
});

/** A finished round, including all of its attempts. */
export const RoundReport = Type.Object({
  /** From 1. */
  round: Type.Integer({ minimum: 0 }),
  clients: ClientLists,
  ...RoundFigures.properties,
  /** Absent if no evaluation was due. */
  evaluation: Type.Optional(Evaluation),
  bytes: RoundBytes,
  seconds: PhaseSeconds,
  /** Absent if the round was started by a version that did not measure it. */
  cost: Type.Optional(RoundCost),
});

export type PhaseSeconds = Static<typeof PhaseSeconds>;
export type RoundReport = Static<typeof RoundReport>;
