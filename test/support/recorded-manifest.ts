// Stands in for worker/run/job-manifest.ts: whatever reads a job that it returns is recorded.
import { readJob as read } from '../../worker/run/job-manifest.ts';
import { recorded } from './recording.ts';

export * from '../../worker/run/job-manifest.ts';

/** Paths that the jobs' readers have read. */
export const readInRuns = new Set<string>();

export function readJob(path: string): ReturnType<typeof read> {
  const job = read(path);
  return { ...job, spec: recorded(job.spec, { read: readInRuns, copies: false }) };
}
