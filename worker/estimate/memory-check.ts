import { freemem, totalmem } from 'node:os';
import { controlGroup } from '../engine/control-group.ts';
import { UserError } from '../../crds/facts/user-error.ts';
import { formatBytes } from '../report/format.ts';

/**
 * Memory available to new processes: what the kernel reports (MemAvailable, on Linux), within the control group's
 * limit.
 */
export function availableMemory(): number {
  // On other systems, free memory excludes memory that the system can reclaim at once.
  const free = process.platform === 'linux' ? freemem() : totalmem();
  return Math.min(free, controlGroup().memoryLimit() ?? Infinity);
}

/**
 * Refuses work that would run out of memory while it runs.
 * @param needed estimated bytes that `what` needs
 * @param options.force return a warning instead of throwing
 * @returns warnings
 * @throws UserError if it needs more than is available
 */
export function checkMemory(
  what: string,
  needed: number,
  { available, force }: { available: number; force: boolean },
): string[] {
  if (needed <= available) return [];
  const message = `${what} needs about ${formatBytes(needed)} of memory, but this machine has only ${formatBytes(available)} available`;
  const advice = 'shorter sequences, smaller batches or fewer --workers need less';
  if (force) return [`${message}: ${advice}`];
  throw new UserError(message, {
    hint: `${advice[0]?.toUpperCase()}${advice.slice(1)}. --force ignores the estimate.`,
  });
}

/**
 * Factor by which estimates may be too high, as the plan's test allows. A refusal in a pod cannot be overridden, so it
 * must be certain.
 */
const ESTIMATE_MARGIN = 1.35;

/**
 * The same in a pod, against its memory limit. Without a limit, nothing is refused, because the free memory of a node
 * changes constantly.
 * @param field the job's field that sets the limit
 */
export function checkPodMemory(needed: number, field: string, limit = controlGroup().memoryLimit()): string[] {
  if (limit === null || needed <= limit) return [];
  const message = `this pod needs about ${formatBytes(needed)} of memory, but its limit is ${formatBytes(limit)}`;
  if (needed <= limit * ESTIMATE_MARGIN) return [message];
  throw new UserError(message, { hint: `Raise ${field}, or use shorter sequences or smaller batches.` });
}
