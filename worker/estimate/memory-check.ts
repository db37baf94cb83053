import { freemem, totalmem } from 'node:os';
import { controlGroup } from '../engine/control-group.ts';
import { UserError } from '../../crds/facts/user-error.ts';
import { formatBytes } from '../report/format.ts';

/**
 * Memory that new processes can have here: what the kernel would give (MemAvailable, on Linux), within the control
 * group's limit.
 */
export function availableMemory(): number {
  // Elsewhere, what is free leaves out what the system would give back at once.
  const free = process.platform === 'linux' ? freemem() : totalmem();
  return Math.min(free, controlGroup().memoryLimit() ?? Infinity);
}

/**
 * Refuses what would run out of memory later, in the middle of its work.
 * @param needed bytes that `what` takes by the plan
 * @param options.force tell, and go on
 * @returns warnings
 * @throws UserError when it needs more than is available
 */
export function checkMemory(
  what: string,
  needed: number,
  { available, force }: { available: number; force: boolean },
): string[] {
  if (needed <= available) return [];
  const message = `${what} takes about ${formatBytes(needed)} of memory, and this machine has ${formatBytes(available)} for it`;
  const advice = 'shorter sequences, smaller batches or fewer --workers need less';
  if (force) return [`${message}: ${advice}`];
  throw new UserError(message, { hint: `${advice[0]?.toUpperCase()}${advice.slice(1)}. --force goes on anyway.` });
}

/**
 * Estimates may be so much too high: as the plan's test allows. What is refused in a pod cannot be forced, so it must
 * be certain.
 */
const TOO_HIGH = 1.35;

/**
 * The same in a pod, whose limit is its own. Without one, nothing is refused: what is free on a node changes from one
 * moment to the next.
 * @param field the job's field that sets the limit
 */
export function checkPodMemory(needed: number, field: string, limit = controlGroup().memoryLimit()): string[] {
  if (limit === null || needed <= limit) return [];
  const message = `this pod takes about ${formatBytes(needed)} of memory, and its limit is ${formatBytes(limit)}`;
  if (needed <= limit * TOO_HIGH) return [message];
  throw new UserError(message, { hint: `Raise ${field}, or take shorter sequences or smaller batches.` });
}
