import { UserError } from '../../crds/facts/user-error.ts';
import type { TensorLayout } from '../safetensors/tensor-layout.ts';
import { findNotFinite } from '../transport/package.ts';

/** A training whose numbers are no longer finite. */
export class Diverged extends UserError {
  override readonly name = 'Diverged';
}

/**
 * A step whose loss was finite can still leave weights that are not, and if it was the last, no later loss tells.
 * @param what names the training that ended in `vector`
 * @throws Diverged
 */
export function requireFinite(layout: TensorLayout, vector: Float32Array, what: string): void {
  const where = findNotFinite(layout, vector);
  if (where === null) return;
  throw new Diverged(`${what} has diverged: ${where}`, {
    hint: 'Most often the learning rate is too high: lower it, set optimizer.warmupSteps, or clip with optimizer.clipNorm.',
  });
}
