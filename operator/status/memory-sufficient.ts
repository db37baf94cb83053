import { ROLES } from '../../crds/facts/role.ts';
import type { JobProgress } from '../../crds/facts/progress.ts';
import { formatBytes } from '../../worker/report/format.ts';
import type { JobObject } from '../objects/job-object.ts';
import { memoryLimitOf } from '../plan/memory-limit.ts';
import type { Aspect } from './conditions.ts';

/** Whether the memory limits of a job's pods hold what the server pod has planned; null: no limit, or no plan yet. */
export function memorySufficient(job: JobObject, progress: JobProgress | null): Aspect | null {
  const planned = progress?.memory ?? job.status?.memory;
  const judged = ROLES.flatMap((role) => {
    const [limit, needed] = [memoryLimitOf(job, role), planned?.[role]];
    return limit === null || needed === undefined ? [] : [{ role, limit, needed }];
  });
  if (judged.length === 0) return null;
  const tooLow = judged.filter(({ limit, needed }) => limit.bytes < needed);
  const said = (tooLow.length === 0 ? judged : tooLow).map(
    ({ role, limit, needed }) =>
      `A ${role} pod needs at least ${formatBytes(needed)} of memory by the plan, and ${limit.field} is ${limit.quantity}.`,
  );
  const type = 'MemorySufficient';
  return tooLow.length === 0
    ? { type, holds: true, reason: 'LimitHoldsPlan', message: said.join(' ') }
    : {
        type,
        holds: false,
        reason: 'LimitBelowPlan',
        message: `${said.join(' ')} Raise ${tooLow.map(({ limit }) => limit.field).join(' and ')}, or use shorter sequences or smaller batches.`,
      };
}
