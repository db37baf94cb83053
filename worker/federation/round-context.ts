import type { CheckpointSpec, EvaluationSpec, FederationSpec, LocalSpec } from '../../crds/types.ts';
import type { RunEvent } from '../../crds/facts/events.ts';
import type { RoundId, ServerTransport } from '../transport/contract.ts';
import type { Clock } from './clock.ts';
import type { Aligner, Evaluator, LoraLayouts, LoraState, Meter, OnSweep } from './contracts.ts';
import type { Snapshot } from './snapshot.ts';
import type { ReceivedResults } from './received-results.ts';

/** The settings of a job that the coordinator reads. `{ job: metadata.name, ...spec }` has this type. */
export interface FederationSettings {
  readonly job: string;
  readonly seed: number;
  readonly federation: Omit<FederationSpec, 'local'> & {
    readonly local: Pick<LocalSpec, 'steps' | 'batchSize' | 'gradientAccumulation'>;
  };
  readonly evaluation: Pick<EvaluationSpec, 'everyRounds'>;
  readonly checkpoint: CheckpointSpec;
}

/** Receives the LoRA vectors at the points of a run that a replay in another implementation compares. */
export interface Trace {
  initial(lora: LoraState): Promise<void>;
  aligned(round: number, lora: LoraState): Promise<void>;
  /** A client's result as received, in order of arrival. */
  client(round: number, client: number, adapter: Float32Array): Promise<void>;
  aggregated(round: number, adapter: Float32Array): Promise<void>;
}

/** The dependencies of a round's steps. */
export interface RoundContext {
  readonly settings: FederationSettings;
  readonly layouts: LoraLayouts;
  readonly aligner: Aligner;
  /** Null when there is nothing to evaluate on. */
  readonly evaluator: Evaluator | null;
  readonly transport: ServerTransport;
  readonly received: ReceivedResults;
  /**
   * Receives every event once, in order, as in metrics.jsonl. Local steps are emitted when their client's result is
   * accepted.
   */
  readonly emit: (event: RunEvent) => void;
  /** Receives the progress of the states that an alignment waits for. */
  readonly onSweep: OnSweep;
  /** Receives the progress of an evaluation. */
  readonly onEvaluation: (done: number, total: number) => void;
  readonly trace: Trace | null;
  readonly clock: Clock;
  /** Measures the server. */
  readonly meter: Meter;
  /**
   * Clients train in the server's processes. What these processes use during training is counted for the clients and
   * reported with their results.
   */
  readonly sharesProcesses: boolean;
  /** Aborts when the run should stop. The current work finishes its step. */
  readonly signal: AbortSignal;
}

/**
 * The work of one state. Yields every point from which the run can be resumed. The last one is in another state, unless
 * the run was stopped.
 */
export type RoundStep = AsyncGenerator<Snapshot, void, void>;

export function roundId({ settings }: RoundContext, { round, attempt }: { round: number; attempt: number }): RoundId {
  return { job: settings.job, round, attempt };
}
