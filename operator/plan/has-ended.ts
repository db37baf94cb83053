import type { ObservedJob } from '../objects/observed.ts';

/** Whether a batch Job has completed or failed for good. */
export const hasEnded = (job: ObservedJob): boolean =>
  job.status?.conditions?.some(({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True') ??
  false;
