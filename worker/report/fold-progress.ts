import type { RunEvent } from '../../crds/facts/events.ts';
import type { RoundReport } from '../../crds/facts/round.ts';
import { countClients, NO_CLIENTS } from '../../crds/facts/clients.ts';
import { figuresAfter, lastFigures } from '../../crds/facts/round-figures.ts';
import { costAfter, initialCost } from '../cost/run-cost.ts';
import type { CostFacts } from '../cost/run-cost.ts';
import { REFUSAL_REASONS, settlesClient } from '../../crds/facts/refusal.ts';
import type { JobProgress } from '../../crds/facts/progress.ts';

/** The progress of a run, derived from its events. The writer to Redis adds the rest. */
export type ReportedProgress = Omit<JobProgress, 'at' | 'memory'>;

export interface RunProgress extends ReportedProgress {
  /** Facts for computing the cost of a round; not reported. Null before the run has started. */
  readonly costFacts: CostFacts | null;
}

/** Facts from the job's manifest that the events do not contain. */
export interface ProgressFacts {
  readonly rounds: number;
  readonly clientsPerRound: number;
  /** Optimizer steps of one client in one round. */
  readonly localSteps: number;
}

const PHASES = { align: 'Aligning', local: 'Training', aggregate: 'Aggregating', evaluate: 'Evaluating' } as const;

export function initialProgress({ rounds }: ProgressFacts): RunProgress {
  return {
    phase: 'Preparing',
    round: 0,
    finishedRounds: 0,
    rounds,
    clients: NO_CLIENTS,
    refusals: {},
    ...lastFigures({}),
    evaluation: null,
    cost: null,
    costFacts: null,
    adapterSha256: null,
  };
}

/**
 * Adds one event; returns the same object if it changes nothing, so that a caller can compare. Folding the earlier
 * events of a resumed run restores the progress at the interruption.
 */
export function foldProgress(progress: RunProgress, event: RunEvent, facts: ProgressFacts): RunProgress {
  switch (event.event) {
    case 'run':
      return { ...progress, costFacts: { clients: event.clients, plan: event.plan } };
    case 'phase': {
      const at = { ...progress, phase: PHASES[event.phase], round: event.round };
      // The simulated dropouts of an attempt are emitted before its phase, and a retry has other clients. The number of
      // clients that train follows from the number of steps.
      return event.phase === 'local' ? { ...at, clients: attemptOf(event.steps ?? 0, facts) } : at;
    }
    case 'client':
      return settle(progress, event);
    case 'evaluation': {
      const { round, base, adapEmu, adapFu } = event;
      return { ...progress, evaluation: { round, base, adapEmu, adapFu } };
    }
    case 'round':
      return {
        ...progress,
        round: event.round,
        finishedRounds: event.round,
        clients: countClients(event.clients),
        ...figuresAfter(progress, event),
        cost: costWith(progress, event),
      };
    default:
      return progress;
  }
}

function costWith({ finishedRounds, cost, costFacts }: RunProgress, round: RoundReport): RunProgress['cost'] {
  if (costFacts === null || round.cost === undefined) return null;
  return costAfter(finishedRounds === 0 ? initialCost(costFacts) : cost, round, costFacts);
}

/** The part of the progress that is reported. */
export function reportedProgress({ costFacts: _, cost, ...reported }: RunProgress): ReportedProgress {
  return { ...reported, cost: cost && reportedCost(cost) };
}

/**
 * The sums contain figures that clients claim, so bytes and tokens are converted to integers, as the status requires.
 */
function reportedCost({ server, clients, bytes, savings }: NonNullable<JobProgress['cost']>): JobProgress['cost'] {
  const role = (cost: typeof server) => ({
    ...cost,
    tokens: whole(cost.tokens),
    peakMemoryBytes: whole(cost.peakMemoryBytes),
  });
  return {
    server: role(server),
    clients: role(clients),
    bytes: { bundle: whole(bytes.bundle), down: whole(bytes.down), up: whole(bytes.up) },
    savings,
  };
}

const whole = (value: number) => Math.min(Math.round(value), Number.MAX_SAFE_INTEGER);

/** The progress of a job that has finished and written its adapter. */
export function finishedProgress(progress: RunProgress, adapterSha256: string): RunProgress {
  return { ...progress, phase: 'Finished', adapterSha256 };
}

function attemptOf(steps: number, { clientsPerRound, localSteps }: ProgressFacts): RunProgress['clients'] {
  return { selected: clientsPerRound, reported: 0, dropped: clientsPerRound - steps / localSteps, refused: 0 };
}

function settle(progress: RunProgress, event: Extract<RunEvent, { event: 'client' }>): RunProgress {
  const { clients, refusals } = progress;
  if (event.outcome === 'reported') return { ...progress, clients: { ...clients, reported: clients.reported + 1 } };
  if (event.outcome === 'dropped') {
    return event.reason === 'simulated'
      ? progress
      : { ...progress, clients: { ...clients, dropped: clients.dropped + 1 } };
  }
  const reason = REFUSAL_REASONS.find((known) => known === event.reason);
  if (reason === undefined) return progress;
  const refused = clients.refused + Number(event.client !== null && settlesClient(reason));
  return {
    ...progress,
    clients: { ...clients, refused },
    refusals: { ...refusals, [reason]: (refusals[reason] ?? 0) + 1 },
  };
}
