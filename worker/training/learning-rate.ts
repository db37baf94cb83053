import type { OptimizerSpec } from '../../crds/types.ts';

/**
 * The learning rate of a step (from 0) in a phase of `steps`: a linear warm-up over `warmupSteps`, then constant, or
 * down to 0 at the phase's end in a line or half a cosine.
 */
export function learningRateAt(
  { learningRate, schedule, warmupSteps }: Pick<OptimizerSpec, 'learningRate' | 'schedule' | 'warmupSteps'>,
  step: number,
  steps: number,
): number {
  if (step < warmupSteps) return (learningRate * (step + 1)) / warmupSteps;
  if (schedule === 'Constant') return learningRate;
  const done = (step - warmupSteps) / Math.max(1, steps - warmupSteps);
  return learningRate * (schedule === 'Linear' ? 1 - done : (1 + Math.cos(Math.PI * done)) / 2);
}
