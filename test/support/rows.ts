import type { Test } from 'tap';
import { randomStream } from '../../worker/random.ts';

/** Normally distributed rows [rows, width]. */
export function randomRows(seed: number, rows: number, width: number): Float32Array {
  const random = randomStream(seed, 'rows', rows, width);
  return Float32Array.from({ length: rows * width }, () => random.normal());
}

/**
 * Checks a product of rows of zeros, of rows with NaN or infinity, and of others.
 * @param multiply the product of rows [5, 64]: five rows of five outputs
 */
export async function checkUnusualRows(
  t: Test,
  seed: number,
  multiply: (rows: Float32Array) => Promise<number[]>,
): Promise<void> {
  const [inputs, outputs] = [64, 5];
  const x = randomRows(seed, 5, inputs);
  x.fill(0, 0, inputs);
  x[inputs + 40] = Number.NaN;
  x[2 * inputs + 3] = Infinity;
  x[3 * inputs + 63] = -Infinity;
  const y = await multiply(x);
  const row = (i: number) => y.slice(i * outputs, (i + 1) * outputs);
  t.same(row(0), [0, 0, 0, 0, 0]);
  for (const i of [1, 2, 3]) t.notOk(row(i).some(Number.isFinite), `row ${i}: ${row(i)}`);
  t.ok(row(4).every(Number.isFinite), 'other rows are not affected');
}
