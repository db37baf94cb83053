import type { RoleCost } from '../../crds/facts/cost.ts';

export const NOTHING: RoleCost = { cpuSeconds: 0, gpuSeconds: 0, tokens: 0, peakMemoryBytes: 0 };

/** The combined cost of two parts of one role's work. */
export function together(a: RoleCost, b: RoleCost): RoleCost {
  return {
    cpuSeconds: a.cpuSeconds + b.cpuSeconds,
    gpuSeconds: a.gpuSeconds + b.gpuSeconds,
    tokens: a.tokens + b.tokens,
    peakMemoryBytes: Math.max(a.peakMemoryBytes, b.peakMemoryBytes),
  };
}
