import Type from 'typebox';
import type { Static } from 'typebox';
import { orNull } from '../json-schema/fields.ts';
import { RunCost } from './cost.ts';
import { Evaluation } from './evaluation.ts';
import { RunPlan } from './plan.ts';
import { RoundReport } from './round.ts';

const count = Type.Integer({ minimum: 0 });

/** The contents of report.json. */
export const RunReport = Type.Object({
  job: Type.String(),
  method: Type.String(),
  seed: Type.Number(),
  rounds: Type.Array(RoundReport),
  /** Last evaluation of the run; null when evaluation was off. */
  final: orNull(Evaluation),
  /** Null when the cost of one of the rounds was not measured. */
  cost: orNull(RunCost),
  /** SHA-256 (hex) of adapter/adapter_model.safetensors; null until the run has finished. */
  adapterSha256: orNull(Type.String()),
  /** Records of each client by category; empty if the server does not know them, as on a cluster. */
  partition: Type.Array(Type.Object({ client: count, records: count, categories: Type.Record(Type.String(), count) })),
  plan: RunPlan,
  /** The day that the model's chat template wrote into the data; absent if the template does not use it. */
  date: Type.Optional(Type.String()),
});

export type RunReport = Static<typeof RunReport>;
