import type { OptimizerSpec } from '../../crds/types.ts';
import { NotFiniteError } from '../engine/trainer.ts';
import type { WeightIndex } from '../model/weights/weight-index.ts';
import { Diverged } from '../federation/diverged.ts';

/**
 * The learning rate of a step (from 0) in a phase of `steps` steps: a linear warm-up over `warmupSteps`, then constant,
 * or a linear or cosine decay to 0 at the end of the phase.
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

/**
 * Requests each work item while the previous one is computed, and yields the results in order, so that the compute
 * process never waits for the preparation of its input.
 * @param request resolves when the work has been requested, with a promise of its result
 */
export async function* oneAhead<Item, Result>(
  items: Iterable<Item> | AsyncIterable<Item>,
  request: (item: Item) => Promise<{ readonly result: Promise<Result> }>,
): AsyncGenerator<Result, void> {
  let underway: Promise<Result> | null = null;
  for await (const item of items) {
    const { result } = await request(item);
    // Prevents an unhandled rejection if the previous item has already failed.
    result.catch(() => undefined);
    if (underway) yield await underway;
    underway = result;
  }
  if (underway) yield await underway;
}

const FLOAT16 =
  ' The model’s weights are held in float16, which rounds small values coarsely: if that does not help, set model.dtype to auto or bfloat16, or take a copy of the model in another format.';

const FIRST =
  'The model itself may give hidden states that are NaN or infinite: `fedbiot eval` tells, and another copy of the model may help. Otherwise';

/**
 * Runs a step. If its loss or gradient is not finite, throws an error with the step, the sequences and the cause.
 * @param where.weights the model's weights: those in float16 are named as a cause
 * @param where.isFirst whether it is the first step of a phase of the first round: the cause may be the model
 */
export async function explainNotFinite<T>(
  where: {
    readonly step: string;
    readonly isFirst: boolean;
    readonly sequenceIds: readonly string[];
    readonly weights: WeightIndex;
  },
  step: () => Promise<T>,
): Promise<T> {
  try {
    return await step();
  } catch (cause) {
    if (!(cause instanceof NotFiniteError)) throw cause;
    const isHalf = [...where.weights.values()].some(({ dtype }) => dtype === 'F16');
    throw new Diverged(`${where.step}: ${cause.message} (sequences ${where.sequenceIds.join(', ')})`, {
      hint: `${where.isFirst ? FIRST : 'Most often'} the learning rate is too high: lower it, set optimizer.warmupSteps, or clip with optimizer.clipNorm. The last checkpoint is intact.${isHalf ? FLOAT16 : ''}`,
      cause,
    });
  }
}
