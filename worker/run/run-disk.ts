import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { FedBiOTJobSpec } from '../../crds/types.ts';
import type { DiskPlan } from '../../crds/facts/plan.ts';
import { QUANTIZED_SUFFIX } from '../model/quantize.ts';
import type { PlannedDisk } from '../estimate/job-disk.ts';

/** Folder of the emulator bundle in a server pod's cache. */
export const BUNDLE_FOLDER = 'bundle';

/**
 * What a run or a server pod is about to write into its cache, without what an earlier one has left there.
 * @param cache the folder, which need not exist
 */
export function remainingDisk(
  what: 'this run' | 'this server pod',
  cache: string,
  { convertedWeights, emulatorBundle, hiddenStateCache }: DiskPlan,
  { model, emulator }: Pick<FedBiOTJobSpec, 'model' | 'emulator'>,
): PlannedDisk {
  const names = existsSync(cache) ? readdirSync(cache) : [];
  // The quantised emulator is made from the converted weights.
  const last = emulator.weights === 'Int8' ? QUANTIZED_SUFFIX : model.dtype;
  const isConverted = names.some(
    (name) => name.startsWith('weights-') && name.endsWith(last) && existsSync(join(cache, name, 'model.safetensors')),
  );
  const converted = isConverted ? 0 : convertedWeights;
  const bundle = what === 'this run' || names.includes(BUNDLE_FOLDER) ? 0 : emulatorBundle;
  const place = what === 'this run' ? 'choose another --out folder' : 'enlarge the claim of volumes.output';
  return {
    what,
    folder: cache,
    required: converted + bundle,
    cached: names.some((name) => name.startsWith('teacher-')) ? 0 : hiddenStateCache,
    hint: `Free some space there, or ${place}${converted > 0 ? '; model.dtype: auto with emulator.weights: AsStored writes no converted weights' : ''}.`,
  };
}
