import type { EvaluationSpec, FedBiOTJobSpec } from '../../crds/types.ts';
import { crossEntropyElements } from '../engine/ops/cross-entropy.ts';
import { divergenceElements } from '../engine/ops/divergence.ts';
import type { DecoderConfig } from '../model/config/config.ts';
import type { FederatedModel, LoraPart } from '../model/federated-model.ts';
import { CALIBRATION_TOKENS } from '../inference/calibration.ts';
import { SWEPT_STATES } from '../inference/layer-sweep.ts';
import type { Trunk } from '../model/programs/hidden-states.ts';
import { comparedLayers } from '../model/programs/alignment.ts';
import { alignmentSteps } from '../training/batches.ts';
import { tasks } from '../tasks/registry.ts';
import { crossedLayer, forwardBytes, packRows, promptBytes, trainedLayer, trainingWork } from './activations.ts';
import { stateBytes } from './state-bytes.ts';
import { FLOAT_BYTES } from '../safetensors/float-formats.ts';

/*
 * The memory that each role needs in its compute process, from shapes alone, with all sequences at full length and
 * every token labelled. Constants marked "measured" come from peak resident sizes of SmolLM2-135M's roles at batch
 * sizes 1 to 4 and lengths 64 to 1024, with every placement. test/integration/estimate-memory.test.ts compares the
 * result with a measurement.
 */

/** Copies of a LoRA vector during training: the vector, gradient, zeros, two moments, and three that a step creates. */
const LORA_COPIES = 8;

/** The part of a model that one session uses. No session has the embedding, whose rows are read from the file. */
export interface Session {
  readonly layers: readonly number[];
  /** Whether its layers include the emulator's, which may be quantised where others are not, or the teacher's. */
  readonly trunk: Trunk;
  readonly head: boolean;
  /** A pass without a gradient on the server, which multiplies by the compute weights. */
  readonly onServer?: true;
  /** A training graph, whose weights are packed unless they are large. */
  readonly trains?: true;
  /** Greedy decoding. */
  readonly generates?: true;
  /**
   * Of a pass without a gradient, which runs a layer at a time if its weights are large: bytes of the hidden states of
   * all its tokens then, between two layers or after the last.
   */
  readonly sweptStates?: number;
  /** Activations and caches while the layers run, in bytes. A training graph holds them while the head runs. */
  readonly layerWork: number;
  /** Logits and caches while the head runs, in bytes. */
  readonly headWork: number;
}

/** The memory that one role adds to its process. Its sessions work one after another. */
export interface Demand {
  readonly sessions: readonly Session[];
  /** Trained vectors and the copies that training keeps of them. */
  readonly lora: number;
}

export function serverDemand(model: FederatedModel, { emulator: { alignment } }: FedBiOTJobSpec): Demand {
  const { split, config } = model;
  if (alignment.schedule === 'Never') return { sessions: [], lora: 0 };
  const { batchSize, sequenceLength: length, klWeight, languageModelWeight } = alignment;
  const needsLogits = klWeight > 0 || languageModelWeight > 0;
  const tokens = batchSize * length;
  const trained = split.emulator.length * trainedLayer(config, length, model.emulator.dropout);
  const crossed = needsLogits ? split.tail.length * crossedLayer(config, length) : 0;
  const divergence = klWeight > 0 ? divergenceElements(tokens, config.vocabSize) * FLOAT_BYTES.F32 : 0;
  const crossEntropy = languageModelWeight > 0 ? crossEntropyElements(tokens, config.vocabSize) * FLOAT_BYTES.F32 : 0;
  const steps = Math.max(alignmentSteps(alignment, 1), alignmentSteps(alignment, 2));
  const returned = comparedLayers(model, alignment.similarity).length;
  return {
    sessions: [
      pass(
        config,
        { layers: [...split.front, ...split.teacher], trunk: 'teacher', onServer: true },
        length,
        steps * tokens,
        returned,
      ),
      {
        layers: [...split.emulator, ...(needsLogits ? split.tail : [])],
        trunk: 'emulator',
        head: needsLogits,
        trains: true,
        layerWork: trainingWork(config, tokens, length, trained + crossed),
        headWork: divergence + crossEntropy,
      },
    ],
    lora: trainingBytes(model.emulator) + model.adapter.layout.size * FLOAT_BYTES.F32,
  };
}

export function clientDemand(model: FederatedModel, { federation: { local } }: FedBiOTJobSpec): Demand {
  const { split, config } = model;
  const { batchSize, sequenceLength: length, gradientAccumulation, steps } = local;
  const tokens = batchSize * length;
  const atBothEnds = split.front.length > 0;
  const trained = (split.front.length + split.tail.length) * trainedLayer(config, length, model.adapter.dropout);
  const crossed = atBothEnds ? split.emulator.length * crossedLayer(config, length) : 0;
  const training = {
    trunk: 'emulator',
    head: true,
    trains: true,
    layerWork: trainingWork(config, tokens, length, trained + crossed),
    headWork: crossEntropyElements(tokens, config.vocabSize) * FLOAT_BYTES.F32,
  } as const;
  return {
    sessions: atBothEnds
      ? [{ layers: [...split.front, ...split.emulator, ...split.tail], ...training }]
      : [
          { layers: split.tail, ...training },
          pass(config, { layers: split.emulator, trunk: 'emulator' }, length, gradientAccumulation * steps * tokens),
        ],
    lora: trainingBytes(model.adapter) + model.emulator.layout.size * FLOAT_BYTES.F32,
  };
}

/** The settings of an evaluation, and the length of its longest text. */
export interface Scoring extends Pick<EvaluationSpec, 'task' | 'batchSize' | 'maxNewTokens'> {
  /** Tokens of the longest text or prompt. */
  readonly length: number;
  /** Number of texts. */
  readonly sequences: number;
}

/** @param heldOut number of held-out records, of which the job's limit leaves some; Infinity if it is not known */
export function evaluationDemand(
  model: FederatedModel,
  { data, evaluation, federation }: FedBiOTJobSpec,
  heldOut = Infinity,
): Demand {
  if (!data.eval) return { sessions: [], lora: 0 };
  const sequences = Math.min(heldOut, evaluation.limit === 0 ? Infinity : evaluation.limit);
  const scoring = { ...evaluation, length: federation.local.sequenceLength, sequences };
  return scoringDemand(model, scoring, ['teacher', 'emulator']);
}

/** @param trunks which trunks are scored: the teacher part, the emulator, or both */
export function scoringDemand(
  model: FederatedModel,
  { length, sequences, ...evaluation }: Scoring,
  trunks: readonly Trunk[],
): Demand {
  const { split, config } = model;
  const { generates } = tasks[evaluation.task];
  // Keys and values of all layers for every token read and written, twice, because a step creates new caches.
  const cache =
    4 *
    config.layers *
    config.keyValueHeads *
    config.headDim *
    evaluation.batchSize *
    (length + evaluation.maxNewTokens) *
    FLOAT_BYTES.F32;
  const generation = (trunk: Trunk): Session => ({
    layers: [...split.front, ...split[trunk], ...split.tail],
    trunk,
    onServer: true,
    generates: true,
    head: true,
    layerWork: cache + promptBytes(config, length, evaluation.batchSize * length),
    headWork: cache,
  });
  return {
    sessions: [
      ...trunks.map((trunk) =>
        pass(config, { layers: [...split.front, ...split[trunk]], trunk, onServer: true }, length, sequences * length),
      ),
      {
        ...pass(config, { layers: split.tail, trunk: 'teacher', onServer: true }, length, sequences * length),
        head: true,
        headWork: 3 * packRows(length, sequences * length) * config.vocabSize * FLOAT_BYTES.F32,
      },
      ...(generates ? trunks.map(generation) : []),
    ],
    lora: (model.adapter.layout.size + model.emulator.layout.size) * FLOAT_BYTES.F32,
  };
}

/**
 * A pass through layers without a gradient tape.
 * @param tokens of all sequences, whose states a sweep holds; it never holds more than SWEPT_STATES
 * @param returned layers whose states the sweep returns
 */
function pass(
  config: DecoderConfig,
  part: Pick<Session, 'layers' | 'trunk' | 'onServer'>,
  length: number,
  tokens: number,
  returned = 1,
): Session {
  return {
    ...part,
    head: false,
    sweptStates: Math.min(SWEPT_STATES, stateBytes(config, tokens * returned)),
    layerWork: forwardBytes(config, length, packRows(length, tokens)),
    headWork: 0,
  };
}

/** The pass through one of the full model's layers while its inputs are calibrated on. */
export function calibrationPass({ config, split }: FederatedModel, length: number): Session {
  const layers = split.emulator.slice(0, 1);
  return pass(config, { layers, trunk: 'teacher' }, length, CALIBRATION_TOKENS);
}

function trainingBytes({ layout }: LoraPart): number {
  return LORA_COPIES * layout.size * FLOAT_BYTES.F32;
}
