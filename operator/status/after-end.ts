import type { JobObject } from '../objects/job-object.ts';
import type { Outcome } from '../objects/outcome.ts';
import { instant } from './observed-job.ts';

/** Milliseconds that client pods have to end by themselves once the job has succeeded. */
const GRACE_MS = 60_000;

/** Milliseconds until client pods of a job that has succeeded are deleted; 0: now. */
export function clientsGrace({ status }: JobObject, outcome: Outcome | null, now: number): number {
  if (outcome?.phase !== 'Succeeded') return 0;
  const ended = instant(status?.completionTime);
  return ended === null ? GRACE_MS : Math.max(0, ended + GRACE_MS - now);
}

/**
 * Milliseconds until a job that has ended is deleted by spec.ttlSecondsAfterFinished; 0: now; null: never, or not yet
 * known.
 */
export function timeToLive({ spec, status }: JobObject, now: number): number | null {
  const ended = instant(status?.completionTime);
  if (spec.ttlSecondsAfterFinished === undefined || ended === null) return null;
  return Math.max(0, ended + spec.ttlSecondsAfterFinished * 1000 - now);
}
