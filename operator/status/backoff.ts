import type { Observed, ObservedCondition } from '../objects/observed.ts';
import { podsOf } from './observed-job.ts';

/** In words, that the Job controller gave up after its tries; null when tries were not the reason. */
export const backoff = (failed: ObservedCondition): string | null =>
  failed.reason === 'BackoffLimitExceeded' ? 'tried again as often as spec.backoffLimit allows' : null;

/**
 * Server pods that failed and were replaced, or would have been, disrupted ones among them. Never less than `before`.
 */
export function restarts({ serverJob, pods }: Observed, before: number): number {
  const seen = podsOf(pods, 'server').filter(({ status }) => status?.phase === 'Failed').length;
  return Math.max(before, seen, serverJob?.status?.failed ?? 0);
}
