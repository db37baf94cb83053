import { PHASES } from '../../crds/facts/events.ts';
import type { Phase } from '../../crds/facts/events.ts';
import type { PhaseProgress, ProgressState, Spent } from './display-state.ts';

/**
 * Estimated seconds until the run ends, based on the rounds seen so far; null before the first. The alignment of round
 * 1 is longer than later ones, so only later alignments are averaged.
 */
export function remainingSeconds(
  { rounds, round, roundsDone, phase, spent }: ProgressState,
  now: number,
): number | null {
  if (spent.rounds === 0) return null;
  const usual = usualSeconds(spent);
  const whole = PHASES.reduce((sum, name) => sum + usual[name], 0);
  if (phase === null) return (rounds - roundsDone) * whole;
  const after = PHASES.slice(PHASES.indexOf(phase.name) + 1).reduce((sum, name) => sum + usual[name], 0);
  return (rounds - round) * whole + restOfPhase(phase, usual[phase.name], now) + after;
}

/** Mean duration of each phase in seconds. Evaluations that are not due in every round are averaged over all rounds. */
function usualSeconds({ rounds, laterRounds, laterAlign, local, aggregate, evaluate }: Spent): Record<Phase, number> {
  return {
    align: laterRounds === 0 ? 0 : laterAlign / laterRounds,
    local: local / rounds,
    aggregate: aggregate / rounds,
    evaluate: evaluate / rounds,
  };
}

/** Remaining seconds of a phase: extrapolated from its progress if possible, otherwise from its mean duration. */
function restOfPhase({ began, done, total }: PhaseProgress, usual: number, now: number): number {
  const elapsed = now - began;
  if (total !== null && done > 0 && elapsed > 0) return Math.max(0, (elapsed * (total - done)) / done);
  return Math.max(0, usual - elapsed);
}
