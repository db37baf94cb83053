import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { FedBiOTJobSpec } from '../../crds/types.ts';
import type { DiskPlan } from '../../crds/facts/plan.ts';
import { convertedFiles, roundingStates } from '../estimate/job-disk.ts';
import type { PlannedDisk } from '../estimate/job-disk.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import { UNFINISHED } from '../model/quantize.ts';
import { QUANTIZED_FORMATS } from '../model/weights/quantized-formats.ts';
import type { WeightIndex } from '../model/weights/weight-index.ts';

/** Folder of the emulator bundle in a server pod's cache. */
export const BUNDLE_FOLDER = 'bundle';

/** What a job's files are made of. */
interface Planned {
  /** The weights as they are in the model's directory. */
  readonly stored: WeightIndex;
  /** The model as the job holds it. */
  readonly model: FederatedModel;
  readonly bytes: Pick<DiskPlan, 'emulatorBundle' | 'hiddenStateCache'>;
}

/**
 * What a run or a server pod is about to write into its cache, without what an earlier one has left there.
 * @param cache the folder, which need not exist
 */
export function remainingDisk(
  what: 'this run' | 'this server pod',
  cache: string,
  { stored, model, bytes }: Planned,
  spec: Pick<FedBiOTJobSpec, 'model' | 'emulator'>,
): PlannedDisk {
  const names = existsSync(cache) ? readdirSync(cache) : [];
  let converted = 0;
  for (const [suffix, planned] of convertedFiles(stored, model, spec)) {
    const folders = names.filter((name) => name.startsWith('weights-') && name.endsWith(suffix));
    const written = Math.max(0, ...folders.map((name) => writtenBytes(join(cache, name))));
    if (planned <= written) continue;
    converted += planned - written;
    if (suffix === QUANTIZED_FORMATS.Int4.folderSuffix) converted += roundingStates(model, spec);
  }
  const bundle = what === 'this run' ? 0 : Math.max(0, bytes.emulatorBundle - writtenBytes(join(cache, BUNDLE_FOLDER)));
  const place = what === 'this run' ? 'choose another --out folder' : 'enlarge the claim of volumes.output';
  return {
    what,
    folder: cache,
    required: converted + bundle,
    cached: names.some((name) => name.startsWith('teacher-')) ? 0 : bytes.hiddenStateCache,
    hint: `Free some space there, or ${place}${converted > 0 ? '; model.dtype: auto with emulator.weights and model.computeWeights AsStored writes no converted weights' : ''}.`,
  };
}

/**
 * Bytes of the weights in a folder. A part of a file that an interrupted process has left, with holes, is overwritten
 * or removed.
 */
function writtenBytes(folder: string): number {
  if (!existsSync(folder)) return 0;
  const files = readdirSync(folder).filter((name) => name.includes('.safetensors') && !name.startsWith(UNFINISHED));
  const sizes = files.map((name) => statSync(join(folder, name)));
  return sizes.reduce((sum, { size, blocks }) => sum + Math.min(size, BLOCK * blocks), 0);
}

/** Unit of a file's allocated blocks, in bytes. */
const BLOCK = 512;
