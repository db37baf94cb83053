import type { JobObject } from '../objects/job-object.ts';
import { whyNotRunning } from './conditions.ts';
import { instant } from './observed-job.ts';
import type { Verdict } from './verdict.ts';

/** spec.activeDeadlineSeconds, as on a Job: counted from the start, which a suspension resets. */
export function activeDeadline(job: JobObject, now: number): Verdict {
  const { activeDeadlineSeconds, suspend } = job.spec;
  const start = instant(job.status?.startTime);
  if (activeDeadlineSeconds === undefined || suspend || start === null) return null;
  const left = start + activeDeadlineSeconds * 1000 - now;
  if (left > 0) return { askAgainMs: left };
  const why = whyNotRunning(job);
  const message = `The job was active for longer than spec.activeDeadlineSeconds (${activeDeadlineSeconds} s).${why === null ? '' : ` It was not running: ${why}`}`;
  return { outcome: { phase: 'Failed', reason: 'DeadlineExceeded', message } };
}
