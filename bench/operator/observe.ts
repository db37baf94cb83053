/**
 * Loaded before the operator's main module (node --import). Records every value that is passed to its histograms, whose
 * buckets are too coarse for comparisons. The file is written when the operator exits.
 */
import { writeFileSync } from 'node:fs';
import { Histogram } from 'prom-client';
import { OBSERVATIONS_FILE } from './observations.ts';

const observed: Record<string, number[]> = {};
const observe: unknown = Reflect.get(Histogram.prototype, 'observeWithoutExemplar');
if (typeof observe !== 'function')
  throw new Error('prom-client has changed: Histogram has no method observeWithoutExemplar');

Reflect.set(Histogram.prototype, 'observeWithoutExemplar', function (this: Histogram, ...values: readonly unknown[]) {
  const value = values.at(-1);
  if (typeof value === 'number') (observed[String(Reflect.get(this, 'name'))] ??= []).push(value);
  Reflect.apply(observe, this, values);
});

process.once('exit', () => writeFileSync(process.env[OBSERVATIONS_FILE] ?? '', JSON.stringify(observed)));
