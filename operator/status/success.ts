import type { Observed } from '../reconcile/ports.ts';
import { conditionOf } from './observed-job.ts';
import type { Verdict } from './outcome.ts';

/** The job has succeeded when its server has: the adapter lies in the output volume, and clients have nothing left to do. */
export function success({ serverJob }: Observed): Verdict {
  if (serverJob === null || conditionOf(serverJob, 'Complete') === null) return null;
  return { outcome: { phase: 'Succeeded', reason: 'Finished', message: 'The adapter is in the output volume.' } };
}
