import { readFileSync } from 'node:fs';
import type { ComputeUsage } from './compute-protocol.ts';

/** Resources used by this process since its start. */
export function processUsage(): ComputeUsage {
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
  return { cpuSeconds: (userCPUTime + systemCPUTime) / 1e6, peakMemoryBytes: ownPeak() ?? maxRSS * 1024 };
}

/**
 * The peak of this program on Linux. maxRSS includes the time before exec, when the process was a copy of its parent.
 */
function ownPeak(): number | null {
  try {
    const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    return kibibytes === undefined ? null : Number(kibibytes) * 1024;
  } catch {
    return null;
  }
}
