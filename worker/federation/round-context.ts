import type { CheckpointSpec, EvaluationSpec, FederationSpec, LocalSpec } from '../../crds/types.ts';
import type { RunEvent } from '../../crds/facts/events.ts';
import type { RoundId, ServerTransport } from '../transport/contract.ts';
import type { Clock } from './clock.ts';
import type { Aligner, Evaluator, LoraLayouts, LoraState, Meter } from './contracts.ts';
import type { Snapshot } from './snapshot.ts';
import type { ReceivedResults } from './received-results.ts';

/** What the coordinator reads of a job: `{ job: metadata.name, ...spec }` is one. */
export interface FederationSettings {
  readonly job: string;
  readonly seed: number;
  readonly federation: Omit<FederationSpec, 'local'> & {
    readonly local: Pick<LocalSpec, 'steps' | 'batchSize' | 'gradientAccumulation'>;
  };
  readonly evaluation: Pick<EvaluationSpec, 'everyRounds'>;
  readonly checkpoint: CheckpointSpec;
}

/** The LoRA vectors at the moments of a run that a replay in another implementation compares. */
export interface Trace {
  initial(lora: LoraState): Promise<void>;
  aligned(round: number, lora: LoraState): Promise<void>;
  /** What a client trained, as it was received; in order of arrival. */
  client(round: number, client: number, adapter: Float32Array): Promise<void>;
  aggregated(round: number, adapter: Float32Array): Promise<void>;
}

/** What the steps of a round act on. */
export interface RoundContext {
  readonly settings: FederationSettings;
  readonly layouts: LoraLayouts;
  readonly aligner: Aligner;
  /** Null when there is nothing to evaluate on. */
  readonly evaluator: Evaluator | null;
  readonly transport: ServerTransport;
  readonly received: ReceivedResults;
  /**
   * Takes every event once, in order: the lines of metrics.jsonl. Local steps come when their client's result is
   * accepted.
   */
  readonly emit: (event: RunEvent) => void;
  /** How far an evaluation is. */
  readonly onEvaluation: (done: number, total: number) => void;
  readonly trace: Trace | null;
  readonly clock: Clock;
  /** Of the server. */
  readonly meter: Meter;
  /**
   * Clients train in the server's own processes: what these use meanwhile is the clients', and told with their results.
   */
  readonly sharesProcesses: boolean;
  /** Aborts when the run is to stop: what is under way finishes its step. */
  readonly signal: AbortSignal;
}

/**
 * One state's work: yields every point from which the run could go on, the last of which is in another state, unless
 * the run was stopped.
 */
export type RoundStep = AsyncGenerator<Snapshot, void, void>;

export function roundId({ settings }: RoundContext, { round, attempt }: { round: number; attempt: number }): RoundId {
  return { job: settings.job, round, attempt };
}
