import { freemem, totalmem } from 'node:os';
import { controlGroup } from '../engine/control-group.ts';
import { UserError } from '../../crds/facts/user-error.ts';
import { formatBytes } from '../report/format.ts';
import type { MachineMemory } from './job-memory.ts';

/**
 * Memory available to new processes: what the kernel reports (MemAvailable, on Linux), within the control group's
 * limit.
 */
export function availableMemory(): number {
  // On other systems, free memory excludes memory that the system can reclaim at once.
  const free = process.platform === 'linux' ? freemem() : totalmem();
  return Math.min(free, controlGroup().memoryLimit() ?? Infinity);
}

/** Bytes that must be available: all but pages of files, which the kernel can drop and read again. */
export const requiredMemory = ({ total, filePages }: MachineMemory): number => total - filePages;

/**
 * Refuses work that would run out of memory while it runs.
 * @param needed the memory that `what` needs, as estimated
 * @param options.force return a warning instead of throwing
 * @returns warnings
 * @throws UserError if it needs more than is available
 */
export function checkMemory(
  what: string,
  needed: MachineMemory,
  { available, force }: { available: number; force: boolean },
): string[] {
  const required = requiredMemory(needed);
  if (required <= available) return rereadWarnings(what, needed, available, 'this machine');
  const message = `${what} needs about ${formatBytes(required)} of memory, but this machine has only ${formatBytes(available)} available`;
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
export function checkPodMemory(needed: MachineMemory, field: string, limit = controlGroup().memoryLimit()): string[] {
  if (limit === null) return [];
  const required = requiredMemory(needed);
  if (required <= limit) return rereadWarnings('this pod', needed, limit, 'its limit');
  const message = `this pod needs about ${formatBytes(required)} of memory, but its limit is ${formatBytes(limit)}`;
  if (required <= limit * ESTIMATE_MARGIN) return [message];
  throw new UserError(message, { hint: `Raise ${field}, or use shorter sequences or smaller batches.` });
}

/** A warning if the model's files do not fit into the rest of the memory: work goes on, at the speed of the disk. */
function rereadWarnings(what: string, { total, filePages }: MachineMemory, memory: number, whose: string): string[] {
  if (total <= memory) return [];
  return [
    `${what} uses ${formatBytes(filePages)} of the model's files beside ${formatBytes(total - filePages)} of memory; the ${formatBytes(memory)} of ${whose} cannot hold both, so it reads the files from disk again and again`,
  ];
}
