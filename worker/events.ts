/** What a run says while it goes: one line of metrics.jsonl, and the input of every progress display and report. */
export type RunEvent =
  | { event: 'run'; job: string; method: string; rounds: number; clients: number; resumedFromRound: number | null; plan: RunPlan }
  | { event: 'phase'; phase: Phase; round: number; steps: number | null }
  | StepEvent
  | { event: 'client'; round: number; client: number; outcome: 'reported' | 'dropped'; reason?: string }
  | { event: 'client'; round: number; /** Null: the result names none. */ client: number | null; outcome: 'refused'; reason: string }
  | ({ event: 'evaluation'; round: number } & Evaluation)
  | ({ event: 'round' } & RoundReport)
  | { event: 'warning'; message: string }
  | { event: 'end'; outcome: 'succeeded' | 'interrupted' | 'failed'; message: string };

export type Phase = 'align' | 'local' | 'aggregate' | 'evaluate';

/** One optimizer step. `round` counts from 1; the initial alignment belongs to round 1. `client` is null for alignment. */
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

/** Scores of the base model, of emulator + adapter (what a client has) and of full model + adapter (what the server gains). */
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
}

/** The contents of report.json. */
export interface RunReport {
  job: string;
  method: string;
  seed: number;
  rounds: RoundReport[];
  /** Last evaluation of the run; null when evaluation was off. */
  final: Evaluation | null;
  /** SHA-256 (hex) of adapter/adapter_model.safetensors; null until the run is done. */
  adapterSha256: string | null;
  /** Who holds what: one entry a client; empty where the server does not know it, as on a cluster. */
  partition: { client: number; records: number; categories: Record<string, number> }[];
  plan: RunPlan;
}

/** What `fedbiot plan` prints and a report repeats. Sizes in bytes. */
export interface RunPlan {
  layers: { total: number; adapter: number[]; emulator: number[]; dropped: number[] };
  parameters: { full: number; emulator: number; adapterLora: number; emulatorLora: number };
  bytes: { fullModel: number; emulatorBundle: number; roundDown: number; roundUp: number; hiddenStateCache: number };
  /**
   * Peak resident size of each role's compute process; `run` is all of `fedbiot run` on one machine, with weights that several roles map
   * counted once, and `fits` says whether that is `available`.
   */
  memory: { server: number; client: number; evaluation: number; run: number; available: number; fits: boolean };
}

/** The plan of a job that has not begun: with layers kept by importance, which ones is measured at its start, and only their number known. */
export type ForeseenPlan = Omit<RunPlan, 'layers'> & { layers: RunPlan['layers'] | { total: number; adapter: number[]; kept: number } };
