import type { Logger } from 'pino';
import { foldProgress, initialProgress } from '../../report/fold-progress.ts';
import type { ProgressFacts, RunProgress } from '../../report/fold-progress.ts';
import type { RunEvent } from '../../../crds/facts/events.ts';
import type { ServerMetrics } from '../../metrics/server-metrics.ts';

export interface Listeners {
  readonly metrics: ServerMetrics;
  readonly log: Logger;
  /** Called whenever the progress of the run has changed. */
  readonly onProgress: (progress: RunProgress) => void;
}

/** Follows a run by its events: writes log lines, updates metrics and tracks progress. */
export class RunFollower {
  readonly #facts: ProgressFacts;
  readonly #listeners: Listeners;
  #progress: RunProgress;

  constructor(facts: ProgressFacts, listeners: Listeners) {
    this.#facts = facts;
    this.#listeners = listeners;
    this.#progress = initialProgress(facts);
  }

  get progress(): RunProgress {
    return this.#progress;
  }

  /** Restores the progress from the events of an earlier pod. */
  restore(events: readonly RunEvent[]): void {
    this.#progress = events.reduce(
      (progress, event) => foldProgress(progress, event, this.#facts),
      initialProgress(this.#facts),
    );
    this.#listeners.metrics.recall(events, this.#progress);
  }

  observe(event: RunEvent): void {
    const { metrics, log, onProgress } = this.#listeners;
    const before = this.#progress;
    this.#progress = foldProgress(before, event, this.#facts);
    metrics.observe(event, this.#progress);
    logEvent(log, event);
    if (this.#progress !== before) onProgress(this.#progress);
  }
}

function logEvent(log: Logger, event: RunEvent): void {
  switch (event.event) {
    case 'run':
      log.info(
        { rounds: event.rounds, clients: event.clients },
        event.resumedFromRound === null ? 'the run starts' : `the run continues in round ${event.resumedFromRound}`,
      );
      break;
    case 'phase':
      log.info({ round: event.round, phase: event.phase, steps: event.steps }, 'a phase begins');
      break;
    case 'client':
      log.info(
        { round: event.round, client: event.client, reason: event.reason },
        `the client ${event.outcome === 'reported' ? 'has reported' : `was ${event.outcome}`}`,
      );
      break;
    case 'evaluation':
      log.info({ round: event.round, base: event.base, adapEmu: event.adapEmu, adapFu: event.adapFu }, 'evaluated');
      break;
    case 'round': {
      const { round, clients, alignmentLoss, localLoss, seconds } = event;
      log.info(
        {
          round,
          reported: clients.reported.length,
          selected: clients.selected.length,
          alignmentLoss,
          localLoss,
          seconds,
        },
        'the round has ended',
      );
      break;
    }
    case 'warning':
      log.warn(event.message);
      break;
    case 'end':
      log.info({ outcome: event.outcome }, event.message);
      break;
    case 'step':
      // Steps are only in the metrics.
      break;
  }
}
