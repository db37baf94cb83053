import { dirname, resolve } from 'node:path';
import type { FedBiOTJobSpec } from '../../crds/types.ts';
import { loadData } from '../data/source.ts';
import type { PlanEstimate } from '../../crds/facts/plan.ts';
import type { Provider } from '../engine/compute-protocol.ts';
import { heldAs } from '../model/convert.ts';
import { openModelDirectory } from '../model/directory.ts';
import type { ModelDirectory } from '../model/directory.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import { FLOAT_BYTES } from '../safetensors/float-formats.ts';
import { loadTokenizer } from '../tokenizer/tokenizer.ts';
import type { WeightIndex } from '../model/weights/weight-index.ts';
import { federateModel } from './job-model.ts';
import { shapeOf } from '../estimate/flops.ts';
import { jobDisk } from '../estimate/job-disk.ts';
import { estimateJob } from '../estimate/job-estimate.ts';
import { jobTime } from '../estimate/job-time.ts';
import { absoluteUri, readJob } from './job-manifest.ts';
import { availableMemory } from '../estimate/memory-check.ts';
import { plannedRun } from '../estimate/planned-memory.ts';
import { withPlannedComputeWeights, withPlannedQuantized } from '../estimate/planned-quantized.ts';
import { measureSpeeds } from '../estimate/speeds.ts';
import { comparedStateBytes } from '../estimate/state-bytes.ts';
import { sampleJob } from './sample-job.ts';
import type { JobRecords } from './sample-job.ts';

export interface PlanOptions {
  /** Compute processes of `fedbiot run`. */
  readonly workers?: number;
  /** Where it computes. */
  readonly provider?: Provider;
  /** Threads of each process, to estimate the time; by default it is not estimated. */
  readonly threads?: number;
  /** Aborts to stop. */
  readonly signal?: AbortSignal;
}

/**
 * Estimates a job from its manifest. Reads the model's headers and the data files. Computes nothing but, to estimate
 * the time, some steps with a miniature of the model.
 * @throws UserError if the manifest, the model's directory or a data file is invalid; the signal's reason if it aborts
 */
export async function estimateManifest(path: string, options: PlanOptions = {}): Promise<PlanEstimate> {
  const { workers = 1, provider = 'cpu', threads, signal = new AbortController().signal } = options;
  const { spec } = readJob(path);
  const { data, emulator } = spec;
  const baseDirectory = dirname(resolve(path));
  const stored = await openModelDirectory(absoluteUri(spec.model.uri, baseDirectory));
  const model = await plannedModel(stored, spec);
  const records: JobRecords = {
    train: await loadData(data.train, baseDirectory),
    eval: data.eval ? await loadData(data.eval, baseDirectory) : null,
    public: data.public ? await loadData(data.public, baseDirectory) : null,
  };
  signal.throwIfAborted();
  const publicSequences = records.public?.records.length ?? 0;
  const heldOutSequences = records.eval?.records.length ?? 0;
  const context = { publicSequences, heldOutSequences, workers, provider, available: availableMemory() };
  const estimate = estimateJob(model, spec, context);
  const { layers, ...sizes } = estimate;
  const { fits, available } = sizes.memory;
  const advice = fits ? null : plannedRun(model, spec, context, estimate).advice(available);
  const disk = jobDisk(stored.weights, model, spec, sizes.bytes);
  const { total, adapter } = layers;
  const measuredLater = emulator.layerSelection === 'Importance' && layers.dropped.length > 0;
  const known = measuredLater ? { total, adapter, kept: layers.emulator.length } : layers;
  const plan: PlanEstimate = { layers: known, ...sizes, advice, disk };
  if (threads === undefined) return plan;
  const tokenizer = await loadTokenizer(stored.path, stored.config);
  const sample = sampleJob(spec, records, tokenizer);
  const speeds = await measureSpeeds(model, spec, { sample, tokenizer, compute: { threads, provider }, signal });
  const comparedBytes = comparedStateBytes(model, emulator.alignment, 1);
  return { ...plan, time: jobTime(shapeOf(model, spec), spec, { sample, speeds, comparedBytes, workers }) };
}

/**
 * The model as the job will store and split it. All layers have the same shape, so the sizes do not depend on which
 * layers are kept.
 */
export async function plannedModel(stored: ModelDirectory, spec: FedBiOTJobSpec): Promise<FederatedModel> {
  const directory = { ...stored, weights: asConverted(stored.weights, spec.model.dtype) };
  const uniform: FedBiOTJobSpec = { ...spec, emulator: { ...spec.emulator, layerSelection: 'Uniform' } };
  const model = await federateModel(directory, uniform, unmeasured);
  const { weights } = spec.emulator;
  const emulated = weights === 'AsStored' ? model : withPlannedQuantized(model, weights);
  return spec.model.computeWeights === 'AsStored' ? emulated : withPlannedComputeWeights(emulated);
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
