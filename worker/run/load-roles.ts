import { join } from 'node:path';
import type { FedBiOTJobSpec } from '../../crds/types.ts';
import type { Sequence } from '../data/sequence.ts';
import { sha256 } from '../files/sha256.ts';
import type { Compute } from '../engine/compute.ts';
import { EmulatorAligner } from '../training/alignment.ts';
import { sampledBatches } from '../training/batches.ts';
import type { BatchSource } from '../training/batches.ts';
import type { Aligner, Evaluator, LocalTrainer, Rehearsing } from '../federation/contracts.ts';
import { checkComputeWeights } from '../training/check-quantized.ts';
import { ModelEvaluator } from '../training/evaluation.ts';
import { AdapterTrainer } from '../training/local-update.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { ClientData, ServerData } from './job-data.ts';
import { STATES_DISK, STATES_MEMORY } from '../training/teacher-states.ts';
import { clientMeter } from './meters.ts';
import type { Place } from './meters.ts';
import type { TraceWriter } from './trace.ts';

export interface ServerRoleOptions {
  readonly spec: FedBiOTJobSpec;
  readonly model: FederatedModel;
  readonly modelSha256: string;
  /** Throws if the model's files have changed. */
  readonly checkUnchanged: () => void;
  readonly data: ServerData;
  readonly tokenizer: Tokenizer;
  readonly compute: Compute;
  /** Folder for data that can be recomputed. */
  readonly cache: string;
  readonly trace: TraceWriter | null;
}

export interface ServerRoles {
  readonly aligner: Aligner & Rehearsing;
  /** Null when there is nothing to evaluate on. */
  readonly evaluator: Evaluator | null;
}

/**
 * Loads the server's aligner and evaluator into a compute process.
 * @throws UserError if the model's states are too large for model.computeWeights
 */
export async function loadServerRoles({
  spec,
  model,
  modelSha256,
  checkUnchanged,
  data,
  tokenizer,
  compute,
  cache,
  trace,
}: ServerRoleOptions): Promise<ServerRoles> {
  const batches = batchesOf(spec, { publicSequences: data.publicSequences, clients: [] });
  const [text] = data.heldOut?.sequences ?? batches.publicOrder;
  const { front, teacher, tail } = model.split;
  const computed = [...front, ...teacher, ...(data.heldOut ? tail : [])];
  if (text !== undefined) await checkComputeWeights(compute, model, computed, text.inputIds);
  const aligner: Aligner & Rehearsing =
    spec.emulator.alignment.schedule === 'Never'
      ? unaligned
      : await EmulatorAligner.load({
          compute,
          model,
          spec: spec.emulator.alignment,
          seed: spec.seed,
          batches,
          pool: batches.publicOrder,
          memoryBytes: STATES_MEMORY,
          disk: {
            directory: join(cache, `teacher-${statesKey(modelSha256, model, spec)}`),
            bytes: STATES_DISK,
            checkUnchanged,
          },
          ...(trace ? { onBatch: trace.alignmentBatch.bind(trace) } : {}),
        });
  const evaluator = data.heldOut
    ? await ModelEvaluator.load({
        compute,
        model,
        spec: spec.evaluation,
        task: data.task,
        heldOut: data.heldOut,
        tokenizer,
        memoryBytes: STATES_MEMORY,
      })
    : null;
  return { aligner, evaluator };
}

export interface TrainerOptions {
  readonly spec: FedBiOTJobSpec;
  readonly model: FederatedModel;
  readonly clients: ClientData['clients'];
  readonly computes: readonly Compute[];
  readonly place: Place;
  readonly trace: TraceWriter | null;
}

/** Loads a trainer into each compute process. Each can train any client. */
export async function loadTrainers({
  spec,
  model,
  clients,
  computes,
  place,
  trace,
}: TrainerOptions): Promise<(LocalTrainer & Rehearsing)[]> {
  const batches = batchesOf(spec, { publicSequences: [], clients });
  const metered = clientMeter(place);
  const pool = clients.flat();
  const trainers: (LocalTrainer & Rehearsing)[] = [];
  for (const compute of computes) {
    const onBatch = trace ? { onBatch: trace.localBatch.bind(trace) } : {};
    const trainer = await AdapterTrainer.load({
      compute,
      model,
      spec: spec.federation.local,
      seed: spec.seed,
      batches,
      pool,
      ...onBatch,
    });
    trainers.push({ ...metered(trainer, compute), rehearse: () => trainer.rehearse() });
  }
  return trainers;
}

/**
 * Runs the rehearsals after all roles that share a compute process are loaded. Otherwise the next role's weights would
 * occupy the memory that a rehearsal has freed for the longest step.
 */
export async function rehearseAll(roles: readonly Rehearsing[]): Promise<void> {
  await Promise.all(roles.map((role) => role.rehearse()));
}

function batchesOf(
  spec: FedBiOTJobSpec,
  data: { publicSequences: readonly Sequence[]; clients: ClientData['clients'] },
): BatchSource {
  return sampledBatches({
    ...data,
    alignment: spec.emulator.alignment,
    local: spec.federation.local,
    rounds: spec.federation.rounds,
    seed: spec.seed,
    shuffle: spec.data.shuffle,
  });
}

/** The aligner for `schedule: Never`. */
const unaligned: Aligner & Rehearsing = {
  steps: () => 0,
  rehearse: () => Promise.resolve(),
  align: () => Promise.reject(new Error('nothing is aligned')),
};

/** Raised when a change of the graphs changes the bits of the teacher's states. */
const STATES_VERSION = 2;

/**
 * A cache key for everything but the sequence that the teacher's states depend on: the graphs, the model, the layers
 * after which they are taken, and products with quantised weights.
 */
function statesKey(
  modelSha256: string,
  { split, computeWeights }: FederatedModel,
  { emulator: { alignment } }: FedBiOTJobSpec,
): string {
  const product = computeWeights ? [computeWeights.product] : [];
  return sha256(JSON.stringify([STATES_VERSION, modelSha256, split, alignment.similarity, ...product])).slice(0, 16);
}
