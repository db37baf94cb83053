import { dirname, resolve } from 'node:path';
import type { FedBiOTJobSpec } from '../../crds/types.ts';
import { loadData } from '../data/source.ts';
import type { PlanEstimate } from '../../crds/facts/plan.ts';
import { heldAs } from '../model/convert.ts';
import { openModelDirectory } from '../model/directory.ts';
import type { ModelDirectory } from '../model/directory.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import { FLOAT_BYTES } from '../safetensors/float-formats.ts';
import type { WeightIndex } from '../model/weights/weight-index.ts';
import { federateModel } from './job-model.ts';
import { estimateJob } from '../estimate/job-estimate.ts';
import { absoluteUri, readJob } from './job-manifest.ts';
import { availableMemory } from '../estimate/memory-check.ts';
import { plannedRun } from '../estimate/planned-memory.ts';

/**
 * Estimates a job from its manifest. Reads the model's headers and the data files; computes nothing.
 * @throws UserError if the manifest, the model's directory or a data file is invalid
 */
export async function estimateManifest(path: string): Promise<PlanEstimate> {
  const { spec } = readJob(path);
  const { data, emulator } = spec;
  const baseDirectory = dirname(resolve(path));
  const stored = await openModelDirectory(absoluteUri(spec.model.uri, baseDirectory));
  const model = await plannedModel(stored, spec);
  await loadData(data.train, baseDirectory);
  if (data.eval) await loadData(data.eval, baseDirectory);
  const publicSequences = data.public ? (await loadData(data.public, baseDirectory)).records.length : 0;
  const context = { publicSequences, workers: 1, available: availableMemory() };
  const { layers, ...plan } = estimateJob(model, spec, context);
  const { fits, available } = plan.memory;
  const advice = fits ? null : plannedRun(model, spec, context).advice(available);
  const { total, adapter } = layers;
  const measuredLater = emulator.layerSelection === 'Importance' && layers.dropped.length > 0;
  return { layers: measuredLater ? { total, adapter, kept: layers.emulator.length } : layers, ...plan, advice };
}

/**
 * The model as the job will store and split it. All layers have the same shape, so the sizes do not depend on which
 * layers are kept.
 */
export function plannedModel(stored: ModelDirectory, spec: FedBiOTJobSpec): Promise<FederatedModel> {
  const directory = { ...stored, weights: asConverted(stored.weights, spec.model.dtype) };
  return federateModel(directory, { ...spec, emulator: { ...spec.emulator, layerSelection: 'Uniform' } }, unmeasured);
}

/** The weights with their dtype and size after conversion. Their location is not known yet. */
function asConverted(weights: WeightIndex, dtype: FedBiOTJobSpec['model']['dtype']): WeightIndex {
  return new Map(
    [...weights].map(([name, entry]) => {
      const held = heldAs(dtype, entry.dtype);
      return [name, { ...entry, dtype: held, bytes: (entry.bytes / FLOAT_BYTES[entry.dtype]) * FLOAT_BYTES[held] }];
    }),
  );
}

function unmeasured(): never {
  throw new Error('a uniform selection measures nothing');
}
