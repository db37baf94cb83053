import type { Observed } from '../objects/observed.ts';
import type { JobObject } from '../objects/job-object.ts';
import type { Outcome } from '../objects/outcome.ts';
import { activeDeadline } from './active-deadline.ts';
import { endedWorker } from './ended-worker.ts';
import { failure } from './failure.ts';
import { outOfMemory } from './out-of-memory.ts';
import { startDeadline } from './start-deadline.ts';
import { success } from './success.ts';
import { soonest } from './verdict.ts';

export interface Judged {
  readonly outcome: Outcome | null;
  /** Milliseconds until time alone may change the outcome; null: never. */
  readonly askAgainMs: number | null;
}

/** Applies the policies in order; the first that ends the job counts. The outcome of a job that has ended is final. */
export function judge(job: JobObject, observed: Observed, now: number): Judged {
  const ended = endedBefore(job);
  if (ended !== null) return { outcome: ended, askAgainMs: null };
  const verdicts = [
    success(observed),
    outOfMemory(job, observed),
    failure(observed),
    endedWorker(observed, now),
    activeDeadline(job, observed, now),
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

/** The outcome in the job's status; null: it has not ended. */
function endedBefore({ status }: JobObject): Outcome | null {
  const phase = status?.phase;
  if (phase !== 'Succeeded' && phase !== 'Failed') return null;
  const condition = status?.conditions?.find(({ type }) => type === phase);
  return { phase, reason: condition?.reason ?? phase, message: condition?.message ?? '' };
}
