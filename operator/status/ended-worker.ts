import { EXIT } from '../../crds/facts/exit-codes.ts';
import { ROLES } from '../../crds/facts/role.ts';
import type { Observed } from '../objects/observed.ts';
import { endOf } from './failure.ts';
import { graceLeft, lingering } from './lingering.ts';
import { podsOf } from './observed-job.ts';
import { soonest } from './verdict.ts';
import type { Verdict } from './verdict.ts';
import { FINISHED } from './success.ts';

/**
 * If other containers keep a pod from ending, the end of its worker counts as the end of the pod: an error that only
 * the user can fix ends the job, and the job has succeeded once the others have had time to end by themselves after the
 * server.
 */
export function endedWorker({ pods }: Observed, now: number): Verdict {
  const times: number[] = [];
  for (const role of ROLES) {
    for (const pod of podsOf(pods, role)) {
      const over = lingering(pod);
      if (over === null) continue;
      if (over.exitCode === EXIT.invalid) {
        const { reason, message } = endOf(pod) ?? { reason: 'PodFailed', message: over.message };
        return { outcome: { phase: 'Failed', reason, message: `The ${role} pod failed: ${message}` } };
      }
      const left = graceLeft(pod, now);
      if (left > 0) times.push(left);
      else if (role === 'server' && over.exitCode === EXIT.succeeded) return { outcome: FINISHED };
    }
  }
  const askAgainMs = soonest(times);
  return askAgainMs === null ? null : { askAgainMs };
}
