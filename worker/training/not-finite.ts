import { NotFiniteError } from '../engine/trainer.ts';
import { Diverged } from '../federation/diverged.ts';

/** Runs a step; a loss or gradient that is not finite becomes an error that says where, on what and why. */
export async function explainNotFinite<T>(
  where: string,
  sequenceIds: readonly string[],
  step: () => Promise<T>,
): Promise<T> {
  try {
    return await step();
  } catch (cause) {
    if (!(cause instanceof NotFiniteError)) throw cause;
    throw new Diverged(`${where}: ${cause.message} (sequences ${sequenceIds.join(', ')})`, {
      hint: 'Most often the learning rate is too high: lower it, set optimizer.warmupSteps, or clip with optimizer.clipNorm. The last checkpoint is intact.',
      cause,
    });
  }
}
