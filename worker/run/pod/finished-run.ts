import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../../../crds/facts/user-error.ts';
import type { RunReport } from '../../../crds/facts/report.ts';
import type { RunDirectory } from '../run-directory.ts';
import { fileSha256 } from '../../files/sha256.ts';
import { readReportJson } from '../../report/report-files.ts';

export type FinishedReport = RunReport & { adapterSha256: string };

/** The report of a run that has ended, with its adapter there and intact; null where there is work left to do. */
export async function finishedReport({ root, report: path, adapter }: RunDirectory): Promise<FinishedReport | null> {
  const file = join(adapter, 'adapter_model.safetensors');
  if (!existsSync(path) || !existsSync(file)) return null;
  let report: RunReport;
  try {
    report = await readReportJson(root);
  } catch (error) {
    // The newest checkpoint leads to a new one.
    if (error instanceof UserError) return null;
    throw error;
  }
  const { adapterSha256 } = report;
  return adapterSha256 !== null && (await fileSha256(file)) === adapterSha256 ? { ...report, adapterSha256 } : null;
}
