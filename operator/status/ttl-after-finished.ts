import type { JobObject } from '../objects/job-object.ts';
import { instant } from './observed-job.ts';

/**
 * Milliseconds until a job that has ended is deleted by spec.ttlSecondsAfterFinished; 0: now; null: never, or not yet
 * known.
 */
export function timeToLive({ spec, status }: JobObject, now: number): number | null {
  const ended = instant(status?.completionTime);
  if (spec.ttlSecondsAfterFinished === undefined || ended === null) return null;
  return Math.max(0, ended + spec.ttlSecondsAfterFinished * 1000 - now);
}
