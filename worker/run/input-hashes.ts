import { lifecycle } from '../../crds/schema/lifecycle.ts';
import { isRecord } from '../../crds/json-schema/node.ts';
import type { FedBiOTJob, FedBiOTJobSpec } from '../../crds/types.ts';
import type { RunManifest } from './run-directory.ts';
import { sha256 } from '../files/sha256.ts';
import type { ModelDirectory } from '../model/directory.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { dateRead } from './job-date.ts';
import { versions } from './versions.ts';

/** Fields of the spec that say where and when a job runs, and how it is stopped: what comes of it is the same. */
const WHERE_AND_WHEN = new Set(['server', 'client', 'volumes', 'redis', 'checkpoint', ...Object.keys(lifecycle)]);

/** The part of a spec that a run is computed from. The day counts by itself, where anything asks for it. */
export function trainingSpec(spec: FedBiOTJobSpec): Readonly<Record<string, unknown>> {
  const { date: _, ...data } = spec.data;
  return Object.fromEntries(Object.entries({ ...spec, data }).filter(([name]) => !WHERE_AND_WHEN.has(name)));
}

/** SHA-256 (hex) of the part of a spec that a run is computed from, whatever the order of its fields. */
export function specSha256(spec: FedBiOTJobSpec): string {
  return sha256(JSON.stringify(sorted(trainingSpec(spec))));
}

/** The value with the fields of all its objects in the order of their names. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isRecord(value)) return value;
  const names = Object.keys(value).sort();
  return Object.fromEntries(names.map((name) => [name, sorted(value[name])]));
}

/** What a run is computed from. `data`: SHA-256 of each file that this process reads, by its role. */
export async function runManifest(
  { metadata, spec }: FedBiOTJob,
  { model, tokenizer, data }: { model: ModelDirectory; tokenizer: Tokenizer; data: Readonly<Record<string, string>> },
): Promise<RunManifest> {
  const date = dateRead(spec, tokenizer);
  return {
    job: metadata.name,
    sha256: { spec: specSha256(spec), model: await model.sha256(), ...data },
    ...(date === null ? {} : { date }),
    versions: versions(),
  };
}
