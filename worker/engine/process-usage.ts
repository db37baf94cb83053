import type { ComputeUsage } from './compute-protocol.ts';

/** What this process has used since it began. */
export function processUsage(): ComputeUsage {
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
  return { cpuSeconds: (userCPUTime + systemCPUTime) / 1e6, peakMemoryBytes: maxRSS * 1024 };
}
