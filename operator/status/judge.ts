import type { Observed } from '../objects/observed.ts';
import type { JobObject } from '../objects/job-object.ts';
import type { Outcome } from '../objects/outcome.ts';
import { activeDeadline } from './active-deadline.ts';
import { endedWorker } from './ended-worker.ts';
import { failure } from './failure.ts';
import { startDeadline } from './start-deadline.ts';
import { success } from './success.ts';
import { soonest } from './verdict.ts';

export interface Judged {
  readonly outcome: Outcome | null;
  /** Milliseconds until time alone may change the outcome; null: never. */
  readonly askAgainMs: number | null;
}

/** The policies in the order of their say; the first that ends the job counts. One that has ended stays as it is. */
export function judge(job: JobObject, observed: Observed, now: number): Judged {
  const ended = endedBefore(job);
  if (ended !== null) return { outcome: ended, askAgainMs: null };
  const verdicts = [
    success(observed),
    failure(observed),
    endedWorker(observed, now),
    activeDeadline(job, now),
    startDeadline(job, observed, now),
  ];
  for (const verdict of verdicts) {
    if (verdict !== null && 'outcome' in verdict) return { outcome: verdict.outcome, askAgainMs: null };
  }
  return {
    outcome: null,
    askAgainMs: soonest(
      verdicts.map((verdict) => (verdict !== null && 'askAgainMs' in verdict ? verdict.askAgainMs : null)),
    ),
  };
}

/** The end that the job's status tells of. */
function endedBefore({ status }: JobObject): Outcome | null {
  const phase = status?.phase;
  if (phase !== 'Succeeded' && phase !== 'Failed') return null;
  const condition = status?.conditions?.find(({ type }) => type === phase);
  return { phase, reason: condition?.reason ?? phase, message: condition?.message ?? '' };
}
