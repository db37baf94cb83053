import { readFileSync } from 'node:fs';

const SAMPLE_MS = 20;

/**
 * The result of `work`, and the largest memory of a child of this process that no file backs, in bytes, sampled
 * meanwhile (Linux).
 */
export async function peakOfChildren<T>(work: () => Promise<T>): Promise<{ result: T; peak: number }> {
  let peak = 0;
  const sampling = setInterval(() => {
    peak = Math.max(peak, ...childrenOf(process.pid).map(anonymousBytes));
  }, SAMPLE_MS);
  try {
    const result = await work();
    return { result, peak };
  } finally {
    clearInterval(sampling);
  }
}

/** The process's children and theirs; none of a process that has ended. */
function descendantsOf(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child, ...descendantsOf(child)]);
}

/** The child processes of a process. */
export function childrenOf(pid: number): number[] {
  const children = readProc(`${pid}/task/${pid}/children`).trim();
  return children === '' ? [] : children.split(' ').map(Number);
}

/** A process's memory that no file backs, in bytes. A process that has just ended counts nothing. */
export function anonymousBytes(pid: number): number {
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(readProc(`${pid}/status`))?.[1] ?? 0) * 1024;
}

/** A process's proportional set size in bytes, in which a page that several processes share counts once. */
export function proportionalBytes(pid: number): number {
  return Number(/^Pss:\s+(\d+) kB$/m.exec(readProc(`${pid}/smaps_rollup`))?.[1] ?? 0) * 1024;
}

/** The sum of a measure of a process and its descendants. */
export function ofTree(pid: number, measure: (pid: number) => number): number {
  return [pid, ...descendantsOf(pid)].reduce((sum, each) => sum + measure(each), 0);
}

function readProc(path: string): string {
  try {
    return readFileSync(`/proc/${path}`, 'utf8');
  } catch {
    return '';
  }
}
