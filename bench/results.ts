import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isRecord } from '../crds/json-schema/node.ts';
import type { RunReport } from '../crds/facts/report.ts';
import { readReportJson } from '../worker/report/report-files.ts';
import { run } from './fedbiot.ts';
import { writeManifest } from './job.ts';
import type { Manifest } from './job.ts';

/** Folder of results: NAME.json is a manifest, NAME/ its run, NAME.trace/ its trace. */
export interface Results {
  readonly folder: string;
  readonly threads: number | null;
  readonly trace: boolean;
}

/** Reads the report of a manifest's finished run from the folder, or else runs or resumes it. */
export async function resultOf(
  { folder, threads, trace }: Results,
  name: string,
  manifest: Manifest,
): Promise<RunReport> {
  const job = join(folder, `${name}.json`);
  const out = join(folder, name);
  const traceFolder = join(folder, `${name}.trace`);
  mkdirSync(folder, { recursive: true });
  const earlier = existsSync(job) ? readFileSync(job, 'utf8') : null;
  writeManifest(job, manifest);
  if (earlier !== null && earlier !== readFileSync(job, 'utf8')) rmSync(out, { recursive: true, force: true });
  if (existsSync(join(out, 'report.json'))) {
    const report = await readReportJson(out);
    if (report.adapterSha256 !== null) return report;
  }
  if (trace) {
    // A run with a trace cannot be resumed.
    for (const half of [out, traceFolder]) rmSync(half, { recursive: true, force: true });
  }
  process.stderr.write(`${new Date().toISOString()} ${name}\n`);
  return run({ job, out, threads, resume: existsSync(out), ...(trace ? { trace: traceFolder } : {}) });
}

/** Checks that the results of a table were computed from the same model and data. */
export function checkSameInputs(folder: string, names: readonly string[]): void {
  const inputs = names.map((name) => {
    const manifest: unknown = JSON.parse(readFileSync(join(folder, name, 'manifest.json'), 'utf8'));
    const { spec: _, ...digests } = isRecord(manifest) && isRecord(manifest['sha256']) ? manifest['sha256'] : {};
    return JSON.stringify(digests);
  });
  const other = inputs.findIndex((digests) => digests !== inputs[0]);
  if (other >= 0)
    throw new Error(
      `${names[other]} was computed from another model or other data than ${names[0]}; remove it from ${folder}`,
    );
}
