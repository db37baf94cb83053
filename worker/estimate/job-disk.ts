import type { FedBiOTJobSpec } from '../../crds/types.ts';
import type { DiskPlan } from '../../crds/facts/plan.ts';
import { FLOAT_BYTES } from '../safetensors/float-formats.ts';
import { CALIBRATION_TOKENS } from '../inference/calibration.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import { QUANTIZED_FORMATS } from '../model/weights/quantized-formats.ts';
import { tensorsOf, UNQUANTIZED } from '../model/weights/quantized-index.ts';
import type { WeightIndex } from '../model/weights/weight-index.ts';
import { SystemFailure } from '../files/system-failure.ts';
import { formatBytes } from '../report/format.ts';
import { stateBytes } from './state-bytes.ts';

/** Vectors of an interrupted alignment: parameters and at most two moments. */
const ALIGNMENT_VECTORS = 3;

/**
 * What a job writes to its folder, in bytes.
 * @param stored the weights as they are in the model's directory
 * @param model the model as the job holds it
 */
export function jobDisk(
  stored: WeightIndex,
  model: FederatedModel,
  spec: FedBiOTJobSpec,
  { emulatorBundle, hiddenStateCache }: { readonly emulatorBundle: number; readonly hiddenStateCache: number },
): DiskPlan {
  const { federation, checkpoint } = spec;
  const [adapter, emulator] = [model.adapter.layout.size, model.emulator.layout.size];
  const vectors =
    (checkpoint.keep + 1) * (adapter + (1 + ALIGNMENT_VECTORS) * emulator) + (federation.clientsPerRound + 1) * adapter;
  return {
    convertedWeights: [...convertedFiles(stored, model, spec).values()].reduce((sum, bytes) => sum + bytes, 0),
    roundingStates: roundingStates(model, spec),
    checkpoints: vectors * FLOAT_BYTES.F32,
    emulatorBundle,
    hiddenStateCache,
  };
}

/**
 * The files of converted weights that a job writes into its cache, in bytes, by the ends of their folders' names.
 * @param stored the weights as they are in the model's directory
 * @param model the model as the job holds it
 */
export function convertedFiles(
  stored: WeightIndex,
  { weights, quantized, computeWeights }: FederatedModel,
  { model: { dtype } }: Pick<FedBiOTJobSpec, 'model'>,
): ReadonlyMap<string, number> {
  const total = (tensors: readonly { readonly bytes: number }[]) => tensors.reduce((sum, { bytes }) => sum + bytes, 0);
  const isConverted = [...weights].some(([name, held]) => stored.get(name)?.dtype !== held.dtype);
  const matrices = [...(quantized?.emulator ?? UNQUANTIZED), ...(computeWeights?.index ?? UNQUANTIZED)];
  return new Map([
    [`-${dtype}`, isConverted ? total([...weights.values()]) : 0],
    ...Object.entries(QUANTIZED_FORMATS).map(([format, { folderSuffix }]) => {
      // A projection of the emulator and of the compute weights in the same format is in one file.
      const inFormat = new Map(matrices.filter(([, entry]) => entry.format === format));
      return [folderSuffix, total(tensorsOf(inFormat))] as const;
    }),
  ]);
}

/**
 * Bytes of the states that a rounding to 4 bits keeps beside its matrices, to go on after a stop: those before a layer
 * stay until those before the next one are written.
 */
export function roundingStates(
  { config }: Pick<FederatedModel, 'config'>,
  { emulator }: Pick<FedBiOTJobSpec, 'emulator'>,
): number {
  return emulator.weights === 'Int4' ? 2 * stateBytes(config, CALIBRATION_TOKENS) : 0;
}

/** What a process is about to write. */
export interface PlannedDisk {
  /** The work in words, such as `this run`. */
  readonly what: string;
  readonly folder: string;
  /** Bytes that it must write. */
  readonly required: number;
  /** Bytes of hidden states that it may write. Those for which there is no space are computed again. */
  readonly cached: number;
  /** What to do if there is no space for the required bytes, as a sentence. */
  readonly hint: string;
}

/**
 * Refuses work that cannot be written.
 * @param free free bytes of the folder's file system; null: unknown
 * @param options.force return a warning instead of throwing
 * @returns warnings
 * @throws SystemFailure if the required bytes exceed the free ones
 */
export function checkDisk(
  { what, folder, required, cached, hint }: PlannedDisk,
  free: number | null,
  { force = false }: { force?: boolean } = {},
): string[] {
  if (free === null || required + cached <= free) return [];
  if (required <= free) {
    return [
      `${what} would keep up to ${formatBytes(cached)} of hidden states in ${folder}, which has ${formatBytes(free - required)} of disk space for them; those that do not fit are computed again`,
    ];
  }
  const message = `${what} writes ${formatBytes(required)} to ${folder}, which has only ${formatBytes(free)} of free disk space`;
  if (force) return [message];
  throw new SystemFailure('full', message, { hint });
}
