import { UserError } from '../../crds/facts/user-error.ts';
import type { TensorLayout } from '../safetensors/tensor-layout.ts';
import { findNotFinite } from '../transport/package.ts';

/** Training values are no longer finite. */
export class Diverged extends UserError {
  override readonly name = 'Diverged';
}

/**
 * Requires the result of a training to be finite. The last step can have a finite loss and still produce weights that
 * are not finite.
 * @param what names the training whose result is `vector`
 * @throws Diverged
 */
export function requireFinite(layout: TensorLayout, vector: Float32Array, what: string): void {
  const where = findNotFinite(layout, vector);
  if (where === null) return;
  throw new Diverged(`${what} has diverged: ${where}`, {
    hint: 'Most often the learning rate is too high: lower it, set optimizer.warmupSteps, or clip with optimizer.clipNorm.',
  });
}
