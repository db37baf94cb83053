import type { FedBiOTJobSpec } from '../../crds/types.ts';
import type { RunPlan } from '../../crds/facts/plan.ts';
import type { Provider } from '../engine/compute-protocol.ts';
import { alignmentSteps } from '../training/batches.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import { shapeOf, tokenFlops } from './flops.ts';
import { loraLayout } from '../model/lora/layout.ts';
import { gpuMemory } from './gpu-memory.ts';
import { jobMemory } from './job-memory.ts';
import { requiredMemory } from './memory-check.ts';
import { STATES_DISK, STATES_MEMORY } from '../training/teacher-states.ts';
import { comparedStateBytes } from './state-bytes.ts';
import { weightsOf } from './weight-bytes.ts';
import type { WeightSize } from './weight-bytes.ts';
import { FLOAT_BYTES } from '../safetensors/float-formats.ts';

export interface EstimateContext {
  /** Number of sequences, or records, that the alignment draws from. */
  readonly publicSequences: number;
  /** Number of held-out records; Infinity if it is not known. */
  readonly heldOutSequences: number;
  /** Compute processes of `fedbiot run`. */
  readonly workers: number;
  readonly provider: Provider;
  /** Bytes of memory available to new processes. */
  readonly available: number;
}

/**
 * Estimates a job's layers, sizes, traffic, FLOPs and memory from the model's shapes and the spec. Loads no weights.
 */
export function estimateJob(
  model: FederatedModel,
  spec: FedBiOTJobSpec,
  { publicSequences, heldOutSequences, workers, provider, available }: EstimateContext,
): RunPlan {
  const { config, split, adapter, emulator } = model;
  const full = weightsOf(model, () => true);
  const held = new Set([...split.front, ...split.emulator, ...split.tail]);
  const bundle = weightsOf(model, (_, layer) => layer === null || held.has(layer), 'emulator');
  const hiddenStateCache = Math.min(STATES_DISK, publicStateBytes(model, spec, publicSequences));
  const memory = jobMemory(model, spec, {
    statesBytes: Math.min(STATES_MEMORY, hiddenStateCache),
    workers,
    heldOutSequences,
  });
  return {
    layers: {
      total: config.layers,
      adapter: [...split.front, ...split.tail],
      emulator: [...split.emulator],
      dropped: [...split.dropped],
    },
    parameters: {
      full: total(full, 'values'),
      emulator: total(bundle, 'values'),
      adapterLora: adapter.layout.size,
      emulatorLora: emulator.layout.size,
    },
    bytes: {
      fullModel: total(full, 'bytes'),
      emulatorBundle: total(bundle, 'bytes'),
      roundDown: (adapter.layout.size + emulator.layout.size) * FLOAT_BYTES.F32,
      fullModelRoundDown:
        (adapter.layout.size + loraLayout(config, split.teacher, spec.emulator.alignment.lora).size) * FLOAT_BYTES.F32,
      roundUp: adapter.layout.size * FLOAT_BYTES.F32,
      hiddenStateCache,
    },
    flops: tokenFlops(shapeOf(model, spec), spec.emulator.alignment),
    memory: {
      server: memory.server.total,
      client: memory.client.total,
      evaluation: memory.evaluation.total,
      run: memory.run.total,
      filePages: memory.run.filePages,
      available,
      fits: requiredMemory(memory.run) <= available,
    },
    ...(provider === 'cuda' && { gpuMemory: gpuMemory(model, spec, { workers, heldOutSequences }) }),
  };
}

/**
 * Bytes of the teacher's states of all public sequences that the job uses, at full length. If the adapter has layers in
 * front, the states change and are not cached.
 */
function publicStateBytes(
  model: FederatedModel,
  { emulator: { alignment }, federation }: FedBiOTJobSpec,
  publicSequences: number,
): number {
  if (model.split.front.length > 0) return 0;
  const steps = alignmentSteps(alignment, 1) + (federation.rounds - 1) * alignmentSteps(alignment, 2);
  const sequences = Math.min(publicSequences, steps * alignment.batchSize);
  return comparedStateBytes(model, alignment, sequences * alignment.sequenceLength);
}

function total(weights: readonly WeightSize[], of: 'values' | 'bytes'): number {
  return weights.reduce((sum, weight) => sum + weight[of], 0);
}
