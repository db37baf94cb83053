// Replaces worker/run/job-manifest.ts: records which fields of its jobs are read.
import { readJob as read } from '../../worker/run/job-manifest.ts';
import { recorded } from './recording.ts';

export * from '../../worker/run/job-manifest.ts';

/** Paths of the fields that were read. */
export const readInRuns = new Set<string>();

export function readJob(path: string): ReturnType<typeof read> {
  const job = read(path);
  return { ...job, spec: recorded(job.spec, { read: readInRuns, copies: false }) };
}
