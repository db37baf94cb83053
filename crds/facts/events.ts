/** What a run says while it goes: one line of metrics.jsonl, and the input of every progress display and report. */
export type RunEvent =
  | {
      event: 'run';
      job: string;
      method: string;
      rounds: number;
      clients: number;
      resumedFromRound: number | null;
      plan: RunPlan;
      date?: string;
    }
  | { event: 'phase'; phase: Phase; round: number; steps: number | null }
  | StepEvent
  | { event: 'client'; round: number; client: number; outcome: 'reported' | 'dropped'; reason?: string }
  | {
      event: 'client';
      round: number;
      /** Null: the result names none. */ client: number | null;
      outcome: 'refused';
      reason: string;
    }
  | ({ event: 'evaluation'; round: number } & Evaluation)
  | ({ event: 'round' } & RoundReport)
  | { event: 'warning'; message: string }
  | { event: 'end'; outcome: 'succeeded' | 'interrupted' | 'failed'; message: string };

export type Phase = 'align' | 'local' | 'aggregate' | 'evaluate';

/**
 * One optimizer step. `round` counts from 1; the initial alignment belongs to round 1. `client` is null for alignment.
 */
export interface StepEvent {
  event: 'step';
  phase: 'align' | 'local';
  round: number;
  client: number | null;
  /** From 0 within the phase. */
  step: number;
  loss: number;
  /** Tokens the step was computed on (without padding). */
  tokens: number;
  ms: number;
}

export interface Score {
  /** Fraction in [0, 1]; null where the task has no accuracy. */
  accuracy: number | null;
  /** Mean word overlap with the best accepted answer, in [0, 1], for a task with partial credit. */
  f1?: number;
  /** Mean negative log-likelihood over all labelled tokens (nats). */
  loss: number;
}

/**
 * Scores of the base model, of emulator + adapter (what a client has) and of full model + adapter (what the server
 * gains).
 */
export interface Evaluation {
  base: Score;
  adapEmu: Score;
  adapFu: Score;
}

export interface RoundReport {
  /** From 1. */
  round: number;
  clients: { selected: number[]; reported: number[]; dropped: number[]; refused: number[] };
  /** Mean over the round's alignment steps; null when the round had none. */
  alignmentLoss: number | null;
  /** Sample-weighted mean over the reported clients' steps. */
  localLoss: number;
  evaluation?: Evaluation;
  bytes: { down: number; up: number };
  seconds: { align: number; local: number; aggregate: number; evaluate: number };
  /** Absent in a run that a version began which did not measure it. */
  cost?: RoundCost;
}

/** What a role has used (docs/running.md, "what is measured"). */
export interface RoleCost {
  /** Processor time. */
  cpuSeconds: number;
  /** Time of its computations on a GPU, times GPUs; 0 where it computes on processors. */
  gpuSeconds: number;
  /** Tokens it trained on, without padding. */
  tokens: number;
  /** Peak resident size of its largest compute process, in a pod together with the process that leads it. */
  peakMemoryBytes: number;
}

export interface RoundCost {
  server: RoleCost;
  clients: RoleCost;
}

/** What a run has cost, and what it saved. */
export interface RunCost extends RoundCost {
  /** Between the server and all clients; `bundle` is the emulator, once to each client. */
  bytes: { bundle: number; down: number; up: number };
  /**
   * Against the same job with the full model sent to the clients and trained there. FLOPs are by formula
   * (docs/method.md).
   */
  savings: { bytes: Saving; flops: Saving };
}

export interface Saving {
  here: number;
  fullModel: number;
  /** fullModel − here: below 0 where the full model would have cost less. */
  saved: number;
}

/** The contents of report.json. */
export interface RunReport {
  job: string;
  method: string;
  seed: number;
  rounds: RoundReport[];
  /** Last evaluation of the run; null when evaluation was off. */
  final: Evaluation | null;
  /** Null when rounds are among them whose cost was not measured. */
  cost: RunCost | null;
  /** SHA-256 (hex) of adapter/adapter_model.safetensors; null until the run is done. */
  adapterSha256: string | null;
  /** Who holds what: one entry a client; empty where the server does not know it, as on a cluster. */
  partition: { client: number; records: number; categories: Record<string, number> }[];
  plan: RunPlan;
  /** The day that the model's chat template wrote into the data; absent where it asks for none. */
  date?: string;
}

/** What `fedbiot plan` prints and a report repeats. Sizes in bytes. */
export interface RunPlan {
  layers: { total: number; adapter: number[]; emulator: number[]; dropped: number[] };
  parameters: { full: number; emulator: number; adapterLora: number; emulatorLora: number };
  bytes: {
    fullModel: number;
    emulatorBundle: number;
    roundDown: number;
    /** A round down, if the full model were trained on the clients. */
    fullModelRoundDown: number;
    roundUp: number;
    hiddenStateCache: number;
  };
  /**
   * Floating-point operations for a token (docs/method.md): of a client's training, here and in the full model, and of
   * the alignment.
   */
  flops: { clientToken: number; fullModelToken: number; alignmentToken: number };
  /**
   * Peak resident size of each role's compute process; `run` is all of `fedbiot run` on one machine, with weights that
   * several roles map counted once, and `fits` says whether that is `available`.
   */
  memory: { server: number; client: number; evaluation: number; run: number; available: number; fits: boolean };
}

/**
 * The plan of a job that has not begun: with layers kept by importance, which ones is measured at its start, and only
 * their number known.
 */
export type ForeseenPlan = Omit<RunPlan, 'layers'> & {
  layers: RunPlan['layers'] | { total: number; adapter: number[]; kept: number };
};
