import { lifecycle } from '../../crds/schema/lifecycle.ts';
import { isRecord } from '../../crds/json-schema/node.ts';
import type { FedBiOTJob, FedBiOTJobSpec } from '../../crds/types.ts';
import type { RunManifest } from './run-directory.ts';
import { sha256 } from '../files/sha256.ts';
import type { Provider } from '../engine/compute-protocol.ts';
import type { ModelDirectory } from '../model/directory.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { dateRead } from './job-date.ts';
import { versions } from './versions.ts';

/** Fields of the spec that say where and when a job runs, and how it is stopped. They do not change its result. */
const WHERE_AND_WHEN = new Set(['server', 'client', 'volumes', 'redis', 'checkpoint', ...Object.keys(lifecycle)]);

/** The part of a spec that determines a run's result. The date is compared separately, if a template uses it. */
export function trainingSpec(spec: FedBiOTJobSpec): Readonly<Record<string, unknown>> {
  const { date: _, ...data } = spec.data;
  return Object.fromEntries(Object.entries({ ...spec, data }).filter(([name]) => !WHERE_AND_WHEN.has(name)));
}

/** SHA-256 (hex) of the part of a spec that determines a run's result. The order of fields does not matter. */
export function specSha256(spec: FedBiOTJobSpec): string {
  return sha256(JSON.stringify(sorted(trainingSpec(spec))));
}

/** The value with the fields of all objects sorted by name. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isRecord(value)) return value;
  const names = Object.keys(value).sort();
  return Object.fromEntries(names.map((name) => [name, sorted(value[name])]));
}

interface ManifestInputs {
  readonly model: ModelDirectory;
  readonly tokenizer: Tokenizer;
  readonly data: Readonly<Record<string, string>>;
  readonly provider: Provider;
}

/**
 * The manifest of a run: its inputs and versions. `data` is the SHA-256 of each file that this process reads, by role.
 */
export async function runManifest(
  { metadata, spec }: FedBiOTJob,
  { model, tokenizer, data, provider }: ManifestInputs,
): Promise<RunManifest> {
  const date = dateRead(spec, tokenizer);
  return {
    job: metadata.name,
    sha256: { spec: specSha256(spec), model: await model.sha256(), ...data },
    ...(date === null ? {} : { date }),
    versions: versions(provider),
  };
}
