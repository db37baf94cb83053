import type { Evaluation } from '../../crds/facts/evaluation.ts';
import type { RunEvent } from '../../crds/facts/events.ts';
import type { RunPlan } from '../../crds/facts/plan.ts';
import type { RunReport } from '../../crds/facts/report.ts';
import type { RoundReport } from '../../crds/facts/round.ts';
import { runCost } from '../cost/run-cost.ts';

/** The accumulated events of a run. Its size grows with the number of rounds, not of steps. */
export interface RunHistory {
  readonly run: {
    readonly job: string;
    readonly method: string;
    readonly clients: number;
    readonly plan: RunPlan;
    readonly date?: string;
  } | null;
  /** Finished rounds, ascending. */
  readonly rounds: readonly RoundReport[];
  readonly lastEvaluation: Evaluation | null;
}

/** Facts of a report that no event contains. */
export interface RunFacts {
  readonly seed: number;
  readonly partition: RunReport['partition'];
  readonly adapterSha256: string | null;
}

export const emptyHistory: RunHistory = { run: null, rounds: [], lastEvaluation: null };

/**
 * Adds one event. A repeated round (of a run that resumed from an earlier checkpoint) replaces the old one and all
 * later ones, so a history does not depend on interruptions.
 */
export function accumulate(history: RunHistory, event: RunEvent): RunHistory {
  switch (event.event) {
    case 'run':
      return {
        ...history,
        run: {
          job: event.job,
          method: event.method,
          clients: event.clients,
          plan: event.plan,
          ...(event.date === undefined ? {} : { date: event.date }),
        },
      };
    case 'evaluation':
      return { ...history, lastEvaluation: { base: event.base, adapEmu: event.adapEmu, adapFu: event.adapFu } };
    case 'round': {
      const { event: _, ...round } = event;
      const rounds = [...history.rounds.filter((earlier) => earlier.round < round.round), round];
      return { ...history, rounds, lastEvaluation: round.evaluation ?? history.lastEvaluation };
    }
    default:
      return history;
  }
}

/**
 * The contents of report.json.
 * @throws Error if the history has no `run` event, because a report needs its plan
 */
export function reportOf(history: RunHistory, facts: RunFacts): RunReport {
  if (history.run === null) throw new Error('a report needs the run event');
  return {
    job: history.run.job,
    method: history.run.method,
    seed: facts.seed,
    rounds: [...history.rounds],
    final: history.lastEvaluation,
    cost: runCost(history.rounds, history.run),
    adapterSha256: facts.adapterSha256,
    partition: facts.partition,
    plan: history.run.plan,
    ...(history.run.date === undefined ? {} : { date: history.run.date }),
  };
}
