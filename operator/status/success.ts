import type { Observed } from '../objects/observed.ts';
import { conditionOf } from '../objects/observed-object.ts';
import type { Outcome } from '../objects/outcome.ts';
import type { Verdict } from './verdict.ts';

export const FINISHED: Outcome = {
  phase: 'Succeeded',
  reason: 'Finished',
  message: 'The adapter is in the output volume.',
};

/** The job has succeeded when its server has: the adapter is in the output volume, and clients have no work left. */
export const success = ({ serverJob }: Observed): Verdict =>
  serverJob === null || conditionOf(serverJob, 'Complete') === null ? null : { outcome: FINISHED };
