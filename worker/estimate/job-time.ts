import type { FedBiOTJobSpec } from '../../crds/types.ts';
import type { TimeEstimate } from '../../crds/facts/plan.ts';
import { CALIBRATION_TOKENS } from '../inference/calibration.ts';
import type { Trunk } from '../model/programs/hidden-states.ts';
import { alignmentSteps } from '../training/batches.ts';
import { STATES_DISK, STATES_MEMORY } from '../training/teacher-states.ts';
import {
  alignmentStep,
  clientTraining,
  decodedToken,
  layerPass,
  promptPass,
  scoring,
  teacherStates,
  trunkStates,
} from './flops.ts';
import type { SequenceSize, Shape } from './flops.ts';
import { sizeOf } from './job-sample.ts';
import type { JobSample } from './job-sample.ts';
import { roundedWeights, roundingProducts } from './rounding-work.ts';
import type { Speeds, Work } from './speeds.ts';
import { stateBytes } from './state-bytes.ts';

export interface TimeOptions {
  readonly sample: JobSample;
  readonly speeds: Speeds;
  /** Bytes of a public token's states that an alignment compares. */
  readonly comparedBytes: number;
  /** Compute processes that train clients side by side. */
  readonly workers: number;
}

/**
 * Estimates a job's time: the FLOPs of its rounds, and of rounding its emulator to 4 bits, at measured speeds. Not
 * counted are the rest of the preparation before the first round, aggregation and checkpoints. Generated texts are
 * taken to be as long as the job allows.
 */
export function jobTime(shape: Shape, spec: FedBiOTJobSpec, options: TimeOptions): TimeEstimate {
  const { sample, speeds, workers } = options;
  const { rounds, local, clientsPerRound, dropoutRate } = spec.federation;
  const seconds: Seconds = (work, flops) => {
    const speed = speeds[work];
    if (speed === undefined) throw new Error(`the speed of ${work} was not measured`);
    return flops / speed;
  };
  const batch = local.batchSize * meanOver(sample.train, (size) => clientTraining(shape, [size]));
  const clientStep = seconds('client', local.gradientAccumulation * batch);
  const clients = Math.ceil(clientsPerRound / workers) * (1 - dropoutRate) * local.steps * clientStep;
  const alignment = alignmentTime(shape, spec, options, seconds);
  const evaluation = evaluationTime(shape, spec, sample, seconds);
  const { everyRounds } = spec.evaluation;
  const evaluations = everyRounds === 0 ? 1 : Math.ceil(rounds / everyRounds);
  const evaluated = evaluation === null ? 0 : evaluation.first + (evaluations - 1) * evaluation.later;
  const firstEvaluated = rounds === 1 || everyRounds === 1 ? (evaluation?.first ?? 0) : 0;
  const firstRound = (alignment?.first ?? 0) + clients + firstEvaluated;
  const job = (alignment?.all ?? 0) + rounds * clients + evaluated;
  return {
    rounding: spec.emulator.weights === 'Int4' ? roundingTime(shape, sample, seconds) : null,
    alignmentStep: alignment?.step ?? null,
    clientStep,
    evaluation: evaluation === null ? null : evaluated / evaluations,
    firstRound,
    laterRound: rounds === 1 ? null : (job - firstRound) / (rounds - 1),
    job,
  };
}

type Seconds = (work: Work, flops: number) => number;

/** Seconds of rounding to 4 bits: passes of the full model up to the emulator's end, and its layers' matrices. */
function roundingTime(shape: Shape, { public: texts, records }: JobSample, seconds: Seconds): number {
  const { config, frontLayers, teacherLayers, emulatorLayers } = shape;
  const used = Math.min(records.public, Math.max(1, Math.floor(CALIBRATION_TOKENS / meanTokens(texts))));
  const passes = (frontLayers + teacherLayers) * used * meanOver(texts, (size) => layerPass(shape, [size]));
  const products = emulatorLayers * roundingProducts(config, used * meanTokens(texts));
  return seconds('calibration', passes + products) + seconds('rounding', emulatorLayers * roundedWeights(config));
}

/** Seconds of a step, of the alignment before the first round, and of all alignments. */
function alignmentTime(
  shape: Shape,
  { emulator: { alignment }, federation: { rounds } }: FedBiOTJobSpec,
  { sample: { public: texts, records }, comparedBytes }: TimeOptions,
  seconds: Seconds,
): { readonly step: number; readonly first: number; readonly all: number } | null {
  if (alignment.schedule === 'Never') return null;
  const batch = alignment.batchSize * meanOver(texts, (size) => alignmentStep(shape, [size], alignment));
  const step = seconds('alignment', batch);
  const states = seconds(
    'teacher',
    meanOver(texts, (size) => teacherStates(shape, [size])),
  );
  const bytes = comparedBytes * meanTokens(texts);
  const upTo = (round: number) => {
    const steps = alignmentSteps(alignment, 1) + (round - 1) * alignmentSteps(alignment, 2);
    const used = steps * alignment.batchSize;
    const distinct = Math.min(used, records.public);
    // States of the trunk behind adapter layers change; others are kept on disk as far as they fit.
    const kept = shape.frontLayers > 0 ? 0 : Math.min(1, STATES_DISK / (distinct * bytes));
    return steps * step + (distinct + (used - distinct) * (1 - kept)) * states;
  };
  return { step, first: upTo(1), all: upTo(rounds) };
}

/** Seconds of the first evaluation, which also scores the model alone, and of each later one. */
function evaluationTime(
  shape: Shape,
  { evaluation: { maxNewTokens } }: FedBiOTJobSpec,
  { heldOut, prompts, records }: JobSample,
  seconds: Seconds,
): { readonly first: number; readonly later: number } | null {
  if (heldOut.length === 0) return null;
  const all = (work: Work, flops: number) => seconds(work, records.heldOut * flops);
  const scored = all(
    'scoring',
    meanOver(heldOut, (size) => scoring(shape, [size])),
  );
  const states = (trunk: Trunk) =>
    all(
      'scoring',
      meanOver(heldOut, (size) => trunkStates(shape, trunk, [size])),
    );
  const written = (trunk: Trunk) => {
    if (prompts.length === 0) return 0;
    const tokens = mean(prompts.map(({ length }) => length));
    const first = mean(prompts.map(({ length }) => promptPass(shape, trunk, [{ tokens: length }])));
    const others = (maxNewTokens - 1) * decodedToken(shape, trunk, tokens + maxNewTokens / 2);
    return all('prompts', first) + all('decoding', others);
  };
  const bytes = stateBytes(shape.config, records.heldOut * meanTokens(heldOut));
  const isKept = shape.frontLayers === 0 && bytes <= STATES_MEMORY;
  const alone = states('teacher') + scored + written('teacher');
  const emulated = states('emulator') + scored + written('emulator');
  const later = emulated + alone - (isKept ? states('teacher') : 0);
  return { first: alone + later, later };
}

function meanTokens(texts: JobSample['public']): number {
  return meanOver(texts, ({ tokens }) => tokens);
}

function meanOver(texts: JobSample['public'], of: (size: SequenceSize) => number): number {
  return mean(texts.map((text) => of(sizeOf(text))));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
