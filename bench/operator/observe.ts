/**
 * Loaded into the operator before itself (node --import): writes down every value that its histograms are told, as
 * their buckets, made for dashboards, are too coarse to compare by. The file is there once the operator has ended.
 */
import { writeFileSync } from 'node:fs';
import { Histogram } from 'prom-client';
import { OBSERVATIONS_FILE } from './observations.ts';

const observed: Record<string, number[]> = {};
const observe: unknown = Reflect.get(Histogram.prototype, 'observeWithoutExemplar');
if (typeof observe !== 'function') throw new Error('prom-client has changed: its histograms are told in another way');

Reflect.set(Histogram.prototype, 'observeWithoutExemplar', function (this: Histogram, ...values: readonly unknown[]) {
  const value = values.at(-1);
  if (typeof value === 'number') (observed[String(Reflect.get(this, 'name'))] ??= []).push(value);
  Reflect.apply(observe, this, values);
});

process.once('exit', () => writeFileSync(process.env[OBSERVATIONS_FILE] ?? '', JSON.stringify(observed)));
