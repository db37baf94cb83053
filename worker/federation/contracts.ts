import type { RoleCost } from '../../crds/facts/cost.ts';
import type { Evaluation } from '../../crds/facts/evaluation.ts';
import type { StepEvent, SweepProgress } from '../../crds/facts/events.ts';
import type { LocalSpec } from '../../crds/types.ts';
import type { TensorLayout } from '../safetensors/tensor-layout.ts';

/**
 * The federation's view of a model: its LoRA vectors. `adapter` trains on the clients, `emulator` trains on the server
 * during alignment; each is one flat float32 vector with its layout.
 */
export interface LoraLayouts {
  readonly adapter: TensorLayout;
  readonly emulator: TensorLayout;
}

/** The current LoRA vectors. They are never modified in place. */
export interface LoraState {
  readonly adapter: Float32Array;
  readonly emulator: Float32Array;
}

/** A trainer's optimizer state between two steps, so that a long phase can be checkpointed and resumed exactly. */
export interface TrainingState {
  /** Steps done. */
  readonly step: number;
  readonly parameters: Float32Array;
  /** First and second moments (AdamW), or only the momentum (SGD). */
  readonly moments: readonly Float32Array[];
  readonly losses: readonly number[];
}

export type OnStep = (step: Omit<StepEvent, 'event'>) => void;

/** Receives the progress of the states that steps wait for, often: it is only for displays and signs of life. */
export type OnSweep = (sweep: SweepProgress) => void;

/** Server side: trains the emulator's LoRA to imitate the teacher part (method, "align the emulator"). */
export interface Aligner {
  /** Number of optimizer steps of the alignment before this round; 0 if the schedule has none. */
  steps(round: number): number;
  /**
   * Runs the alignment before `round`. If `signal` aborts, finishes the steps in progress and returns `done: false`
   * with the state to continue from. Passing it as `from` continues to the same bits.
   */
  align(input: {
    round: number;
    lora: LoraState;
    from: TrainingState | null;
    onStep: OnStep;
    onSweep: OnSweep;
    signal: AbortSignal;
  }): Promise<AlignmentOutcome>;
}

/** A role that can compute its longest step in advance. */
export interface Rehearsing {
  /**
   * Computes and discards the gradient of the longest possible batch. Call it when everything is loaded. The memory of
   * the largest step is then allocated before the first round, so that the process fails at once rather than hours
   * later, and no step of a round waits for the allocation.
   */
  rehearse(): Promise<void>;
}

/** The emulator's LoRA after an alignment, or the state from which an interrupted one continues. */
export type AlignmentOutcome =
  | { readonly done: true; readonly emulator: Float32Array; readonly losses: readonly number[] }
  | { readonly done: false; readonly state: TrainingState };

/** The resources that a role has used for a piece of work. Tokens are counted per step. */
export type Use = Omit<RoleCost, 'tokens'>;

/** Measures a role's processes. */
export interface Meter {
  /** The resources used since the processes started. */
  read(): Promise<Omit<Use, 'gpuSeconds'>>;
  /** Number of GPUs they use. */
  readonly gpus: number;
}

export interface LocalTraining {
  readonly adapter: Float32Array;
  /** Training samples the update was made from: the weight in FedAvg. */
  readonly samples: number;
  readonly losses: readonly number[];
  readonly tokens: number;
}

export interface LocalUpdate extends LocalTraining {
  readonly use: Use;
}

/**
 * Client side: trains the adapter's LoRA on one client's data (method, "tune the adapter"). Throws the signal's reason
 * on abort.
 */
export interface LocalTrainer {
  train(input: {
    round: number;
    client: number;
    lora: LoraState;
    onStep: OnStep;
    onSweep: OnSweep;
    signal: AbortSignal;
  }): Promise<LocalUpdate>;
}

export interface Evaluator {
  /** @param input.onProgress receives the number of scores that are done, in which a part of a score counts as one */
  evaluate(input: {
    lora: LoraState;
    signal: AbortSignal;
    onProgress: (done: number, total: number) => void;
  }): Promise<Evaluation>;
}

/** Samples that a client trains on in a round: its weight in the mean. */
export function samplesPerRound({
  steps,
  batchSize,
  gradientAccumulation,
}: Pick<LocalSpec, 'steps' | 'batchSize' | 'gradientAccumulation'>): number {
  return steps * batchSize * gradientAccumulation;
}
