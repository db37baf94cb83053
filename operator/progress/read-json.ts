import type { Redis } from 'ioredis';
import { Compile } from 'typebox/compile';
import Value from 'typebox/value';
import { MAX_DEPTH, tooDeep } from '../../crds/nesting.ts';
import { JobProgress } from '../../crds/facts/progress.ts';
import { jobKeys } from '../../worker/cluster/redis-keys.ts';
import type { RunReport } from '../../crds/facts/report.ts';
import { checkReport } from '../../worker/report/report-schema.ts';

const MAX_PROGRESS_BYTES = 64 * 1024;
export const MAX_REPORT_BYTES = 16 * 1024 * 1024;

/** The commands used here. */
type Reading = Pick<Redis, 'getrange'>;

const progressCheck = Compile(JobProgress);

/** The value of a job's key in Redis is not one that a server pod writes, and is ignored. */
export class NotUsable extends Error {
  override readonly name = 'NotUsable';
}

/** The last progress that the job's server pod wrote; null: none. Rejects with NotUsable, or the error of Redis. */
export async function readProgress(redis: Reading, uid: string): Promise<JobProgress | null> {
  const key = jobKeys(uid).progress;
  const value = await readJson(redis, key, MAX_PROGRESS_BYTES);
  if (value === null) return null;
  // A newer pod may report fields that the status does not have.
  const progress = Value.Clean(JobProgress, value);
  if (!progressCheck.Check(progress)) throw new NotUsable(`${key} is not a job's progress`);
  return progress;
}

/** The job's current report.json; null: none yet. Rejects with NotUsable, or the error of Redis. */
export async function readReport(redis: Reading, uid: string): Promise<RunReport | null> {
  const key = jobKeys(uid).report;
  const value = await readJson(redis, key, MAX_REPORT_BYTES);
  if (value === null) return null;
  const report = checkReport(value);
  if ('problem' in report) throw new NotUsable(`${key} is not a report: ${report.problem}`);
  return report;
}

/** Reads one byte more than allowed, which shows that a value is too long without fetching all of it. */
async function readJson(redis: Reading, key: string, maxBytes: number): Promise<unknown> {
  const text = await redis.getrange(key, 0, maxBytes);
  if (text === '') return null;
  if (Buffer.byteLength(text) > maxBytes) throw new NotUsable(`${key} has more than ${maxBytes} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new NotUsable(`${key} is not JSON`);
  }
  if (tooDeep(value) !== null) throw new NotUsable(`${key} is nested more than ${MAX_DEPTH} levels deep`);
  return value;
}
