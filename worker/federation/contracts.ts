import type { RoleCost } from '../../crds/facts/cost.ts';
import type { Evaluation } from '../../crds/facts/evaluation.ts';
import type { StepEvent } from '../../crds/facts/events.ts';
import type { LocalSpec } from '../../crds/types.ts';
import type { TensorLayout } from '../safetensors/tensor-layout.ts';

/**
 * What the federation needs of a model: its LoRA vectors. `adapter` trains on the clients, `emulator` trains on the
 * server during alignment; either is one flat float32 vector with a layout of its own.
 */
export interface LoraLayouts {
  readonly adapter: TensorLayout;
  readonly emulator: TensorLayout;
}

/** The two LoRA vectors as they stand. Never changed in place. */
export interface LoraState {
  readonly adapter: Float32Array;
  readonly emulator: Float32Array;
}

/** A trainer's optimizer state between two steps, so that a long phase can be checkpointed and resumed exactly. */
export interface TrainingState {
  /** Steps done. */
  readonly step: number;
  readonly parameters: Float32Array;
  /** First and second moments (AdamW), or momentum and nothing (SGD). */
  readonly moments: readonly Float32Array[];
  readonly losses: readonly number[];
}

export type OnStep = (step: Omit<StepEvent, 'event'>) => void;

/** Server side: trains the emulator's LoRA to imitate the teacher part (method, "align the emulator"). */
export interface Aligner {
  /** Number of optimizer steps of the alignment before this round; 0 when the schedule has none. */
  steps(round: number): number;
  /**
   * Runs the alignment before `round`. When `signal` aborts, finishes the steps that were begun and returns `done:
   * false` with the state to continue from; pass it as `from` to go on to the same bits.
   */
  align(input: {
    round: number;
    lora: LoraState;
    from: TrainingState | null;
    onStep: OnStep;
    signal: AbortSignal;
  }): Promise<AlignmentOutcome>;
}

/** A role that can take its longest step beforehand. */
export interface Rehearsing {
  /**
   * Computes the gradient of the longest batch there can be, and drops it. Call it when everything is loaded: memory
   * for the largest step is then there before the first round, or the process ends at once and not hours later, and no
   * step of a round waits for it.
   */
  rehearse(): Promise<void>;
}

/** What all steps of an alignment have made of the emulator's LoRA, or where one that was stopped goes on. */
export type AlignmentOutcome =
  | { readonly done: true; readonly emulator: Float32Array; readonly losses: readonly number[] }
  | { readonly done: false; readonly state: TrainingState };

/** What a role has used for a piece of its work. Tokens are counted by the steps. */
export type Use = Omit<RoleCost, 'tokens'>;

/** Measures a role's processes. */
export interface Meter {
  /** What they have used since they began. */
  read(): Promise<Omit<Use, 'gpuSeconds'>>;
  /** GPUs that they compute on. */
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
    signal: AbortSignal;
  }): Promise<LocalUpdate>;
}

export interface Evaluator {
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
