import type { GpuMemory } from '../../crds/facts/plan.ts';
import type { FedBiOTJobSpec } from '../../crds/types.ts';
import { matrixProduct } from '../engine/matrix-product.ts';
import { PACK_TOKENS, packTokens } from '../inference/packs.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import { FLOAT_BYTES } from '../safetensors/float-formats.ts';
import { promptBytes } from './activations.ts';
import { clientDemand, evaluationDemand, serverDemand } from './role-demand.ts';
import type { Demand, Session } from './role-demand.ts';
import { areLarge, weightsOfSession, widenedAtUse } from './session-weights.ts';

/**
 * What a process takes of a GPU beside its sessions: CUDA's context, and the free part of the allocators' blocks, each
 * of which is twice as large as the one before. On an H200, nvidia-smi's peaks for three roles of SmolLM2 were 0.9 to
 * 1.4 GiB above what their sessions needed (docs/operations/gpus.md).
 */
export const CUDA_BYTES = 1.25 * 2 ** 30;

/** What a role adds to its process, and its longest sequence in tokens. */
interface RoleDemand extends Demand {
  readonly length: number;
}

/**
 * Peak GPU memory in bytes of each role that computes with CUDA, and of a whole run on one GPU. A role without work
 * has 0.
 * @param options.workers compute processes of `fedbiot run`
 * @param options.heldOutSequences number of held-out records; Infinity if it is not known
 */
export function gpuMemory(
  model: FederatedModel,
  spec: FedBiOTJobSpec,
  { workers, heldOutSequences }: { workers: number; heldOutSequences: number },
): GpuMemory {
  const multiplied = multipliedByCuda(model);
  const length = spec.federation.local.sequenceLength;
  const server = { ...serverDemand(multiplied, spec), length: spec.emulator.alignment.sequenceLength };
  const client = { ...clientDemand(multiplied, spec), length };
  const evaluation = { ...evaluationDemand(multiplied, spec, heldOutSequences), length };
  const bytesOf = (...roles: RoleDemand[]) => processBytes(multiplied, roles);
  return {
    server: bytesOf(server),
    client: bytesOf(client),
    evaluation: bytesOf(evaluation),
    run: bytesOf(server, client, evaluation) + (workers - 1) * bytesOf(client),
  };
}

/** The model with the products that CUDA has. */
function multipliedByCuda({ quantized, computeWeights, ...model }: FederatedModel): FederatedModel {
  const product = matrixProduct('cuda');
  return {
    ...model,
    ...(quantized && { quantized: { ...quantized, product } }),
    ...(computeWeights && { computeWeights: { ...computeWeights, product } }),
  };
}

/**
 * All that the roles of one process load. No layers run one at a time on a GPU, and no two sessions share memory: each
 * has weights of its own, and an allocator that keeps what its work once took.
 */
function processBytes(model: FederatedModel, roles: readonly RoleDemand[]): number {
  const each = roles.flatMap(({ sessions, length }) => sessions.map((session) => sessionBytes(model, session, length)));
  if (each.length === 0) return 0;
  return [...each, ...roles.map(({ lora }) => lora)].reduce((sum, bytes) => sum + bytes, CUDA_BYTES);
}

/** A training graph holds what its layers computed while the head runs. */
function sessionBytes(model: FederatedModel, session: Session, length: number): number {
  const widened = widenedAtUse(model, session);
  const layers = layerWork(model, session, length) + widened.layers;
  const head = session.headWork + widened.head;
  return weightBytes(model, session) + (session.trains ? layers + head : Math.max(layers, head));
}

/** CUDA computes attention by operators that hold all scores, and packs that return states have more tokens. */
function layerWork({ config }: FederatedModel, session: Session, length: number): number {
  const isPass = session.sweptStates !== undefined;
  const rows = session.head ? PACK_TOKENS : packTokens('cuda');
  return isPass ? promptBytes(config, length, Math.max(length, rows)) : session.layerWork;
}

/**
 * A session's weights in a GPU's memory. Large ones stay as they are stored, others are widened once. Those in 4 bits
 * are multiplied as they are, and only a gradient reads a float32 copy.
 */
function weightBytes(model: FederatedModel, session: Session): number {
  const weights = weightsOfSession(model, session);
  const isLarge = areLarge(session, weights);
  return weights.reduce((sum, { values, bytes, stored }) => {
    const isRead = isLarge || stored === 'Int4';
    const isWidened = !isLarge && (stored !== 'Int4' || session.trains === true);
    return sum + (isRead ? bytes : 0) + (isWidened ? values * FLOAT_BYTES.F32 : 0);
  }, 0);
}
