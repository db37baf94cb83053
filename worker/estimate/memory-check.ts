import { freemem, totalmem } from 'node:os';
import { controlGroup } from '../engine/control-group.ts';
import { UserError } from '../../crds/facts/user-error.ts';
import { SystemFailure, systemFailure } from '../files/system-failure.ts';
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

/** Work, and the memory that it needs by the plan. */
export interface PlannedMemory {
  /** The work in words, such as `this run`. */
  readonly what: string;
  readonly needed: MachineMemory;
  /** What would make it fit into the given memory, as sentences. */
  readonly advice: (available: number) => string;
}

/**
 * Refuses work that would run out of memory while it runs.
 * @param options.force return a warning instead of throwing
 * @returns warnings
 * @throws UserError if it needs more than is available
 */
export function checkMemory(
  { what, needed, advice }: PlannedMemory,
  { available, force }: { available: number; force: boolean },
): string[] {
  const required = requiredMemory(needed);
  const limited = available === controlGroup().memoryLimit();
  if (required <= available) return rereadWarnings(what, needed, available, limited ? 'its limit' : 'this machine');
  const there = formatBytes(available);
  const had = limited
    ? `of memory, but the limit of its control group is ${there}`
    : `of memory, but this machine has only ${there} available`;
  const message = `${what} needs about ${formatBytes(required)} ${had}`;
  if (force) return [`${message}. ${advice(available)}`];
  throw new UserError(message, { hint: `${advice(available)} --force ignores the estimate.` });
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
export function checkPodMemory(
  { what, needed, advice }: PlannedMemory,
  field: string,
  limit = controlGroup().memoryLimit(),
): string[] {
  if (limit === null) return [];
  const required = requiredMemory(needed);
  if (required <= limit) return rereadWarnings(what, needed, limit, 'its limit');
  const message = `${what} needs about ${formatBytes(required)} of memory, but its limit is ${formatBytes(limit)}`;
  const hint = `Raise ${field} above ${formatBytes(required)}, or make the job smaller: ${advice(limit)}`;
  if (required <= limit * ESTIMATE_MARGIN) return [`${message}. ${hint}`];
  throw new UserError(message, { hint });
}

/** A warning if the model's files do not fit into the rest of the memory: work goes on, at the speed of the disk. */
function rereadWarnings(what: string, { total, filePages }: MachineMemory, memory: number, whose: string): string[] {
  if (total <= memory) return [];
  return [
    `${what} uses ${formatBytes(filePages)} of the model's files beside ${formatBytes(total - filePages)} of memory; the ${formatBytes(memory)} of ${whose} cannot hold both, so it reads the files from disk again and again`,
  ];
}

/**
 * Does work, and adds the plan's figures to the error if memory runs out. The figures are not those of a GPU.
 * @param had what memory there was, such as `4.00 GiB were available`
 */
export async function toldWithPlan<T>(
  { what, needed }: Pick<PlannedMemory, 'what' | 'needed'>,
  had: string,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const cause = systemFailure(error);
    if (!(cause instanceof SystemFailure)) throw error;
    const { shortage, message, hint } = cause;
    if (shortage !== 'memory' && shortage !== 'machineMemory') throw error;
    const plan = `by the plan, ${what} needs about ${formatBytes(requiredMemory(needed))}, and ${had}`;
    throw new SystemFailure(shortage, `${message}; ${plan}`, { cause, ...(hint === undefined ? {} : { hint }) });
  }
}

/** What memory a pod has, for `toldWithPlan`. */
export function podMemoryInWords(limit = controlGroup().memoryLimit()): string {
  return limit === null ? 'it has no memory limit' : `its limit is ${formatBytes(limit)}`;
}
