import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';

/** Identifies a process, even after its process id was reused. */
export interface ProcessIdentity {
  readonly host: string;
  readonly pid: number;
  /** Start time as the kernel reports it; null if it is not available. */
  readonly started: string | null;
}

export function thisProcess(): ProcessIdentity {
  return { host: hostname(), pid: process.pid, started: startOf(process.pid) };
}

/** Whether the process still runs; null if it ran on another machine, which cannot be checked. */
export function isRunning({ host, pid, started }: ProcessIdentity): boolean | null {
  if (host !== hostname()) return null;
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: the process exists and belongs to another user.
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) return false;
  }
  return started === null || started === startOf(pid);
}

/** The kernel's boot id, and the start of the process in clock ticks since boot: /proc/PID/stat, field 22. */
function startOf(pid: number): string | null {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the command in parentheses, which may contain any character.
    const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    return ticks === undefined ? null : `${boot} ${ticks}`;
  } catch {
    return null;
  }
}
