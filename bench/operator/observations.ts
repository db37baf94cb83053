import { readFileSync } from 'node:fs';
import Type from 'typebox';
import type { Static } from 'typebox';
import Value from 'typebox/value';

/** Environment variable with the path of the observations file. */
export const OBSERVATIONS_FILE = 'FEDBIOT_BENCH_OBSERVATIONS';

/** Values that the operator passed to its histograms, by metric, in seconds. */
const Observations = Type.Object({
  controller_runtime_reconcile_time_seconds: Type.Array(Type.Number(), { minItems: 1 }),
  workqueue_queue_duration_seconds: Type.Array(Type.Number(), { minItems: 1 }),
});

export type Observations = Static<typeof Observations>;

export const readObservations = (path: string): Observations =>
  Value.Parse(Observations, JSON.parse(readFileSync(path, 'utf8')));
