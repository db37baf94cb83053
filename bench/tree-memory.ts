import type { ChildProcess } from 'node:child_process';
import { ofTree, proportionalBytes } from '../test/support/peak-memory.ts';

const INTERVAL_MS = 200;

/** The peak memory of a program with all its processes, as far as samples see it. */
export interface TreeMemory {
  /** Bytes, so far. */
  readonly peak: number;
}

/**
 * Samples the memory of a process and its descendants until it ends: the sum of their proportional set sizes, in which
 * a page that several processes share counts once. Pages of files count while they are mapped.
 */
export function watchTree(child: ChildProcess): TreeMemory {
  const memory = { peak: 0 };
  const timer = setInterval(() => {
    if (child.pid !== undefined) memory.peak = Math.max(memory.peak, ofTree(child.pid, proportionalBytes));
  }, INTERVAL_MS);
  child.once('exit', () => clearInterval(timer));
  return memory;
}
