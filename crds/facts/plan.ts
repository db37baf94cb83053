import Type from 'typebox';
import type { Static } from 'typebox';

const size = Type.Integer({ minimum: 0 });
const flops = Type.Number({ minimum: 0 });
const layers = Type.Array(Type.Integer({ minimum: 0 }));

/**
 * Peak memory of a GPU in bytes, by each role that computes on it; `run` is all of `fedbiot run` on one GPU. A role
 * without work has 0.
 */
const GpuMemory = Type.Object({ server: size, client: size, evaluation: size, run: size });

export type GpuMemory = Static<typeof GpuMemory>;

/** The plan that `fedbiot plan` prints and a report repeats. Sizes are in bytes. */
export const RunPlan = Type.Object({
  layers: Type.Object({
    total: Type.Integer({ minimum: 0, maximum: 10_000 }),
    adapter: layers,
    emulator: layers,
    dropped: layers,
  }),
  parameters: Type.Object({ full: size, emulator: size, adapterLora: size, emulatorLora: size }),
  bytes: Type.Object({
    fullModel: size,
    emulatorBundle: size,
    roundDown: size,
    /** Size of a round package if the full model were trained on the clients. */
    fullModelRoundDown: size,
    roundUp: size,
    hiddenStateCache: size,
  }),
  /**
   * Floating-point operations per token (docs/method.md): of a client's training in this job and with the full model,
   * and of the alignment.
   */
  flops: Type.Object({ clientToken: flops, fullModelToken: flops, alignmentToken: flops }),
  /**
   * Peak resident size of each role's compute process; `run` is all of `fedbiot run` on one machine, with weights that
   * several roles map counted once. `filePages` is its part that is pages of the model's files, which the kernel may
   * drop (reports of earlier versions do not have it), and `fits` says whether the rest is within `available`.
   */
  memory: Type.Object({
    server: size,
    client: size,
    evaluation: size,
    run: size,
    filePages: Type.Optional(size),
    available: size,
    fits: Type.Boolean(),
  }),
  /** Only if the command or the server computes with CUDA; reports of earlier versions do not have it. */
  gpuMemory: Type.Optional(GpuMemory),
});

export type RunPlan = Static<typeof RunPlan>;

/** Seconds that a job takes on a machine, as estimated. A part that the job does not have is null. */
export interface TimeEstimate {
  /** Rounding of the emulator to 4 bits, before the first round. */
  readonly rounding: number | null;
  /** A step of the alignment, given the teacher's states. */
  readonly alignmentStep: number | null;
  /** A client's step, with its part of the emulator's pass. */
  readonly clientStep: number;
  /** Mean of the job's evaluations. The first also scores the model alone. */
  readonly evaluation: number | null;
  readonly firstRound: number;
  /** Mean of the rounds after the first, with the evaluations among them. */
  readonly laterRound: number | null;
  /** All rounds. */
  readonly job: number;
}

/** What a job writes to its folder at most, in bytes: the folder of `fedbiot run`, or a server pod's output volume. */
export interface DiskPlan {
  /** Of weights that are not stored in model.dtype, and of those in 8 or 4 bits. */
  readonly convertedWeights: number;
  /** States between two layers, while weights are rounded to 4 bits. */
  readonly roundingStates: number;
  /** Checkpoints, and the results of a round. */
  readonly checkpoints: number;
  /** Only in a server pod. */
  readonly emulatorBundle: number;
  readonly hiddenStateCache: number;
}

/**
 * The plan of a job that has not started. Layers that are kept by importance are selected at the start; until then only
 * their number is known. `time` is absent if it was not asked for.
 */
export type PlanEstimate = Omit<RunPlan, 'layers'> & {
  layers: RunPlan['layers'] | { total: number; adapter: number[]; kept: number };
  /** What would make `fedbiot run` fit into the available memory, as sentences; null: it fits. */
  advice: string | null;
  time?: TimeEstimate;
  disk: DiskPlan;
};
