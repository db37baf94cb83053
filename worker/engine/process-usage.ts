import { readFileSync } from 'node:fs';
import type { ComputeUsage } from './compute-protocol.ts';

/** What this process has used since it began. */
export function processUsage(): ComputeUsage {
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
  return { cpuSeconds: (userCPUTime + systemCPUTime) / 1e6, peakMemoryBytes: ownPeak() ?? maxRSS * 1024 };
}

/**
 * Linux's peak of this program. In maxRSS is also what the process was before it: a copy of the one that started it.
 */
function ownPeak(): number | null {
  try {
    const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    return kibibytes === undefined ? null : Number(kibibytes) * 1024;
  } catch {
    return null;
  }
}
