import type { EvaluationSpec, FedBiOTJobSpec } from '../../crds/types.ts';
import { PREPACKED_BYTES } from '../engine/compute.ts';
import { crossEntropyElements } from '../engine/ops/cross-entropy.ts';
import { divergenceElements } from '../engine/ops/divergence.ts';
import type { DecoderConfig } from '../model/config/config.ts';
import type { FederatedModel, LoraPart } from '../model/federated-model.ts';
import { FINAL_NORM, headName, layerOf } from '../model/config/tensors.ts';
import { PACK_TOKENS } from '../inference/packs.ts';
import { tasks } from '../tasks/registry.ts';
import { weightsOf } from './weight-bytes.ts';

/*
 * What each role's compute process takes at its peak, from shapes alone, with all sequences at their full length and
 * every token labelled. Constants named "measured" come from peak resident sizes of SmolLM2-135M's roles at batch
 * sizes 1 to 4 and lengths 64 to 1024, with every placement; test/integration/estimate-job.test.ts holds the result to
 * a measurement.
 */

const FLOAT_BYTES = 4;
const MIB = 2 ** 20;

/** Node and onnxruntime, measured. */
const PROCESS_BYTES = 90 * MIB;

/** A session's graph, measured; the optimizer is one as well. */
const SESSION_BYTES = 15 * MIB;

/** The process that reads data, moves tensors and writes the run's folder: measured, with ten thousand records. */
const MAIN_BYTES = 300 * MIB;

/** Copies of a LoRA vector that a training holds: itself, gradient, zeros, two moments, and three that a step makes. */
const LORA_COPIES = 8;

/** The part of a model that one session computes with. None has the embedding: its rows are read from the file. */
interface Session {
  readonly layers: readonly number[];
  readonly head: boolean;
  /** A training graph, whose weights are packed unless they are large. */
  readonly trains?: true;
}

/** What one role adds to the process it lives in. */
interface Demand {
  readonly sessions: readonly Session[];
  /** Trained vectors and all that training keeps of them. */
  readonly lora: number;
  /** Activations, logits and caches at the moment there are most of them. */
  readonly work: number;
}

export interface JobMemory {
  readonly server: number;
  readonly client: number;
  readonly evaluation: number;
  /** All of `fedbiot run` on one machine: every role, with weights that several sessions map counted once. */
  readonly run: number;
}

/**
 * @param options.statesBytes hidden states held in memory; @param options.workers compute processes of `fedbiot run`
 */
export function jobMemory(
  model: FederatedModel,
  spec: FedBiOTJobSpec,
  options: { statesBytes: number; workers: number },
): JobMemory {
  const server = serverDemand(model, spec);
  const client = clientDemand(model, spec);
  const evaluation = evaluationDemand(model, spec);
  const alone = (demand: Demand) =>
    processBytes(demand) +
    residentWeights(model, demand.sessions) +
    packedWeightsOf(model, demand.sessions) +
    demand.lora +
    demand.work;
  const others = Array.from({ length: options.workers - 1 }, () => [client]);
  const run = machineBytes(model, [[server, client, evaluation], ...others]) + options.statesBytes;
  return { server: alone(server), client: alone(client), evaluation: alone(evaluation), run };
}

/** What the pods of each role take at least: states that are kept in memory are left out. */
export function podMemory(
  model: FederatedModel,
  spec: FedBiOTJobSpec,
): { readonly server: number; readonly client: number } {
  const clients = Array.from({ length: spec.client.parallelClients }, () => [clientDemand(model, spec)]);
  return {
    server: machineBytes(model, [[serverDemand(model, spec), evaluationDemand(model, spec)]]),
    client: machineBytes(model, clients),
  };
}

/**
 * What a machine needs for a process that leads and for those that compute, with weights that several sessions map
 * counted once.
 * @param processes the demands that share each compute process: they work one after another
 */
function machineBytes(model: FederatedModel, processes: readonly (readonly Demand[])[]): number {
  const demands = processes.flat();
  const sessions = demands.flatMap((demand) => demand.sessions);
  return (
    MAIN_BYTES +
    processes.length * PROCESS_BYTES +
    sessions.length * SESSION_BYTES +
    sharedWeights(model, sessions) +
    packedWeightsOf(model, sessions) +
    demands.reduce((sum, { lora }) => sum + lora, 0) +
    processes.reduce((sum, shared) => sum + Math.max(...shared.map(({ work }) => work)), 0)
  );
}

function serverDemand(model: FederatedModel, { emulator: { alignment } }: FedBiOTJobSpec): Demand {
  const { split, config } = model;
  if (alignment.schedule === 'Never') return { sessions: [], lora: 0, work: 0 };
  const { batchSize, sequenceLength: length, klWeight, languageModelWeight } = alignment;
  const needsLogits = klWeight > 0 || languageModelWeight > 0;
  const tokens = batchSize * length;
  const trained = split.emulator.length * trainedLayer(config, length, model.emulator.dropout);
  const crossed = needsLogits ? split.tail.length * crossedLayer(config, length) : 0;
  const divergence = klWeight > 0 ? divergenceElements(tokens, config.vocabSize) * FLOAT_BYTES : 0;
  const crossEntropy = languageModelWeight > 0 ? crossEntropyElements(tokens, config.vocabSize) * FLOAT_BYTES : 0;
  return {
    sessions: [
      { layers: [...split.front, ...split.teacher], head: false },
      { layers: [...split.emulator, ...(needsLogits ? split.tail : [])], head: needsLogits, trains: true },
    ],
    lora: trainingBytes(model.emulator) + model.adapter.layout.size * FLOAT_BYTES,
    work: Math.max(
      trainingWork(config, tokens, length, trained + crossed) + divergence + crossEntropy,
      forwardBytes(config, length),
    ),
  };
}

function clientDemand(model: FederatedModel, { federation: { local } }: FedBiOTJobSpec): Demand {
  const { split, config } = model;
  const { batchSize, sequenceLength: length } = local;
  const tokens = batchSize * length;
  const atBothEnds = split.front.length > 0;
  const trained = (split.front.length + split.tail.length) * trainedLayer(config, length, model.adapter.dropout);
  const crossed = atBothEnds ? split.emulator.length * crossedLayer(config, length) : 0;
  return {
    sessions: atBothEnds
      ? [{ layers: [...split.front, ...split.emulator, ...split.tail], head: true, trains: true }]
      : [
          { layers: split.tail, head: true, trains: true },
          { layers: split.emulator, head: false },
        ],
    lora: trainingBytes(model.adapter) + model.emulator.layout.size * FLOAT_BYTES,
    work: Math.max(
      trainingWork(config, tokens, length, trained + crossed) +
        crossEntropyElements(tokens, config.vocabSize) * FLOAT_BYTES,
      forwardBytes(config, length),
    ),
  };
}

/** What an evaluation of the full model alone takes: the process that leads it, and the one that computes. */
export function scoringMemory(model: FederatedModel, scoring: Scoring): number {
  return machineBytes(model, [[scoringDemand(model, scoring, ['teacher'])]]);
}

/** What is scored in an evaluation, at its longest. */
export interface Scoring extends Pick<EvaluationSpec, 'task' | 'batchSize' | 'maxNewTokens'> {
  /** Tokens of the longest text or prompt. */
  readonly length: number;
}

function evaluationDemand(model: FederatedModel, { data, evaluation, federation }: FedBiOTJobSpec): Demand {
  if (!data.eval) return { sessions: [], lora: 0, work: 0 };
  return scoringDemand(model, { ...evaluation, length: federation.local.sequenceLength }, ['teacher', 'emulator']);
}

/** @param trunks what is scored of the model below the adapter's layers */
function scoringDemand(
  model: FederatedModel,
  { length, ...evaluation }: Scoring,
  trunks: readonly ('teacher' | 'emulator')[],
): Demand {
  const { split, config } = model;
  const { generates } = tasks[evaluation.task];
  const whole = (trunk: readonly number[]): Session => ({
    layers: [...split.front, ...trunk, ...split.tail],
    head: true,
  });
  const scored = Math.max(PACK_TOKENS, length);
  // Keys and values of a layer, of every token read and written, and their successors while a step makes them.
  const cache =
    4 *
    config.layers *
    config.keyValueHeads *
    config.headDim *
    evaluation.batchSize *
    (length + evaluation.maxNewTokens);
  return {
    sessions: [
      ...trunks.map((trunk): Session => ({ layers: [...split.front, ...split[trunk]], head: false })),
      { layers: split.tail, head: true },
      ...(generates ? trunks.map((trunk) => whole(split[trunk])) : []),
    ],
    lora: (model.adapter.layout.size + model.emulator.layout.size) * FLOAT_BYTES,
    work: Math.max(
      3 * scored * config.vocabSize * FLOAT_BYTES + forwardBytes(config, length),
      generates ? cache * FLOAT_BYTES + forwardBytes(config, length, evaluation.batchSize * length) : 0,
    ),
  };
}

function processBytes({ sessions }: Demand): number {
  return PROCESS_BYTES + (sessions.length + 1) * SESSION_BYTES;
}

/**
 * What a process has resident: each session maps its weights anew, and half-precision ones are widened into memory of
 * its own.
 */
function residentWeights(model: FederatedModel, sessions: readonly Session[]): number {
  return sessions.flatMap((session) => sessionWeights(model, session)).reduce((sum, { resident }) => sum + resident, 0);
}

/** The same over all processes of a machine: pages of one file are there once, however often they are mapped. */
function sharedWeights(model: FederatedModel, sessions: readonly Session[]): number {
  const mapped = new Map<string, number>();
  let own = 0;
  for (const session of sessions) {
    for (const { name, resident, widened } of sessionWeights(model, session)) {
      if (widened) own += resident;
      else mapped.set(name, resident);
    }
  }
  return own + [...mapped.values()].reduce((sum, bytes) => sum + bytes, 0);
}

function packedWeightsOf(model: FederatedModel, sessions: readonly Session[]): number {
  return sessions.reduce((sum, session) => sum + packedWeights(model, session), 0);
}

/**
 * What packing adds: forward and backward read a weight in two orders, so there are two copies, which replace the
 * mapped one; measured.
 */
function packedWeights(model: FederatedModel, session: Session): number {
  const weights = sessionWeights(model, session);
  const stored = weights.reduce((sum, { bytes }) => sum + bytes, 0);
  if (!session.trains || stored > PREPACKED_BYTES) return 0;
  const head = headName(model.config);
  const packed = weights.filter(({ name }) => layerOf(name) !== null || name === head);
  return packed.reduce((sum, { values }) => sum + values * FLOAT_BYTES, 0);
}

/** A session's weights; half precisions are widened. */
function sessionWeights(model: FederatedModel, { layers, head }: Session) {
  const names = new Set(head ? [FINAL_NORM, headName(model.config)] : []);
  return weightsOf(model, (name, layer) => (layer === null ? names.has(name) : layers.includes(layer))).map(
    (weight) => {
      const widened = weight.stored !== 'F32';
      return { ...weight, widened, resident: widened ? weight.values * FLOAT_BYTES : weight.bytes };
    },
  );
}

function trainingBytes({ layout }: LoraPart): number {
  return LORA_COPIES * layout.size * FLOAT_BYTES;
}

/**
 * Numbers a layer keeps of each token for the gradient. A layer with LoRA: about nine of the hidden width (inputs of
 * norms and projections, queries, keys, values), six of the MLP's, and a row of attention probabilities a head;
 * measured. With dropout, a mask and what it leaves of each of the four inputs.
 */
function trainedLayer({ hiddenSize, intermediateSize, heads }: DecoderConfig, length: number, dropout = 0): number {
  const masks = dropout > 0 ? 2 * (3 * hiddenSize + intermediateSize) : 0;
  return 9 * hiddenSize + 6 * intermediateSize + heads * length + masks;
}

/**
 * The same of a frozen layer that the gradient crosses: no weight's gradient needs the projections' inputs; measured.
 */
function crossedLayer({ hiddenSize, intermediateSize, heads }: DecoderConfig, length: number): number {
  return 7 * hiddenSize + 4 * intermediateSize + heads * length;
}

/** Of one layer at a time: scores, masked scores and their gradient, before and after the softmax; measured. */
function attention({ heads }: DecoderConfig, length: number): number {
  return 3 * heads * length;
}

/** A step's activations, `kept` numbers of each token among them. */
function trainingWork(config: DecoderConfig, tokens: number, length: number, kept: number): number {
  return tokens * (kept + attention(config, length)) * FLOAT_BYTES;
}

/** A pass without a tape holds one layer at a time. */
function forwardBytes(config: DecoderConfig, length: number, tokens = Math.max(PACK_TOKENS, length)): number {
  return tokens * (trainedLayer(config, length) + attention(config, length)) * FLOAT_BYTES;
}
