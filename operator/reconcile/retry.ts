import { instant } from '../status/observed-job.ts';
import type { JobObject } from '../objects/job-object.ts';

const LEAST_MS = 5_000;
const MOST_MS = 120_000;

/**
 * Milliseconds until the next look at something that is not watched: as long as the job's condition has been the same,
 * so that pauses double.
 */
export function retryAfter({ status }: JobObject, now: number): number {
  const since = instant(status?.conditions?.find(({ type }) => type === 'Running')?.lastTransitionTime) ?? now;
  return Math.min(MOST_MS, Math.max(LEAST_MS, now - since));
}
