import type { JobObject } from '../objects/job-object.ts';
import type { Observed } from '../objects/observed.ts';
import { whyNotRunning } from './conditions.ts';
import { startOf } from './start.ts';
import type { Verdict } from './verdict.ts';

/** spec.activeDeadlineSeconds, as on a Job: counted from the start, which a suspension or an eviction resets. */
export function activeDeadline(job: JobObject, observed: Observed, now: number): Verdict {
  const { activeDeadlineSeconds } = job.spec;
  const start = startOf(job, observed);
  if (activeDeadlineSeconds === undefined || start === null) return null;
  const left = start + activeDeadlineSeconds * 1000 - now;
  if (left > 0) return { askAgainMs: left };
  const why = whyNotRunning(job);
  const message = `The job was active for longer than spec.activeDeadlineSeconds (${activeDeadlineSeconds} s).${why === null ? '' : ` It was not running: ${why}`}`;
  return { outcome: { phase: 'Failed', reason: 'DeadlineExceeded', message } };
}
