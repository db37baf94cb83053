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

/** What a finished round came to, all its attempts together. */
export const RoundReport = Type.Object({
  /** From 1. */
  round: Type.Integer({ minimum: 0 }),
  clients: ClientLists,
  ...RoundFigures.properties,
  /** Absent where none was due. */
  evaluation: Type.Optional(Evaluation),
  bytes: RoundBytes,
  seconds: PhaseSeconds,
  /** Absent in a round that was begun by a version which did not measure it. */
  cost: Type.Optional(RoundCost),
});

export type PhaseSeconds = Static<typeof PhaseSeconds>;
export type RoundReport = Static<typeof RoundReport>;
