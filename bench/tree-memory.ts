import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';

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
    if (child.pid !== undefined) memory.peak = Math.max(memory.peak, treeBytes(child.pid));
  }, INTERVAL_MS);
  child.once('exit', () => clearInterval(timer));
  return memory;
}

/** A process may end while it is read; it then counts as nothing. */
function treeBytes(pid: number): number {
  try {
    const [, kibibytes] = /^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')) ?? [];
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
    return children.reduce((sum, each) => sum + treeBytes(each), Number(kibibytes ?? 0) * 1024);
  } catch {
    return 0;
  }
}
