// The types of a FedBiOTJob (crds/types.ts), which are derived from the schema. Only the compiler reads this file.
import type { parseManifest } from '../../crds/parse.ts';
import type {
  AdapterSpec,
  DataSource,
  DefaultedJob,
  DefaultedSpec,
  EvaluationSpec,
  FedBiOTJob,
  FedBiOTJobSpec,
  FedBiOTJobStatus,
  FederationSpec,
  JobCondition,
  JobPhase,
  LoraSpec,
  Method,
  OptimizerSpec,
  Placement,
  Projection,
} from '../../crds/types.ts';
import type { AnyPaths, Equal, Expect, Nothing, OptionalKeys } from '../support/type-assertions.ts';

export type Checks = [
  Nothing<AnyPaths<FedBiOTJob>>,
  Nothing<AnyPaths<DefaultedJob>>,
  Nothing<AnyPaths<FedBiOTJobStatus>>,
  Expect<Equal<ReturnType<typeof parseManifest>, FedBiOTJob>>,

  // Enumerations are unions of their values, not `string`.
  Expect<Equal<FedBiOTJob['apiVersion'], 'fedbiot.io/v1alpha1'>>,
  Expect<Equal<FedBiOTJob['kind'], 'FedBiOTJob'>>,
  Expect<Equal<Method, 'FedBiOT' | 'OffsiteTuning' | 'FedOT' | 'FullModel'>>,
  Expect<Equal<EvaluationSpec['task'], 'loss' | 'gsm8k' | 'qa' | 'tokens'>>,
  Expect<Equal<Placement, 'Last' | 'Both'>>,
  Expect<Equal<DataSource['format'], 'Auto' | 'Alpaca' | 'Dolly' | 'GSM8K' | 'QuestionAnswer' | 'Chat' | 'Tokenized'>>,
  Expect<Equal<JobPhase, 'Pending' | 'Suspended' | 'Running' | 'Succeeded' | 'Failed'>>,
  Expect<Equal<JobCondition['status'], 'True' | 'False' | 'Unknown'>>,
  Expect<Equal<LoraSpec['targets'], Projection[]>>,
  Expect<Equal<OptimizerSpec['betas'], [number, number]>>,

  // A field with a default in the schema is present; one that a preset fills is present once the presets are resolved.
  Expect<Equal<OptionalKeys<OptimizerSpec>, never>>,
  Expect<Equal<OptionalKeys<DefaultedSpec['federation']>, 'clientsPerRound' | 'quorum'>>,
  Expect<Equal<OptionalKeys<FederationSpec>, never>>,
  Expect<Equal<FederationSpec['quorum'], number>>,
  Expect<Equal<OptionalKeys<DefaultedSpec['adapter']>, 'placement' | 'layers' | 'initFrom'>>,
  Expect<Equal<OptionalKeys<AdapterSpec>, 'initFrom'>>,
  Expect<Equal<OptionalKeys<DefaultedSpec['emulator']>, 'layerDropRate'>>,
  Expect<Equal<OptionalKeys<FedBiOTJobSpec['emulator']>, never>>,
  Expect<Equal<OptionalKeys<DefaultedSpec['emulator']['alignment']>, 'schedule' | 'languageModelWeight'>>,
  Expect<Equal<OptionalKeys<FedBiOTJobSpec['emulator']['alignment']>, never>>,
  Expect<Equal<OptionalKeys<DefaultedSpec['federation']['local']>, 'proximalWeight'>>,
  Expect<Equal<OptionalKeys<FederationSpec['local']>, never>>,
  Expect<Equal<OptionalKeys<FedBiOTJobSpec['data']>, 'public' | 'eval' | 'date'>>,
  Expect<Equal<keyof FedBiOTJobSpec, keyof DefaultedSpec>>,

  // All fields of a status are optional: a job has no status before the operator has seen it.
  Expect<Equal<OptionalKeys<FedBiOTJobStatus>, keyof FedBiOTJobStatus>>,
];

declare const job: FedBiOTJob;
declare const spec: FedBiOTJobSpec;
declare const defaulted: DefaultedSpec;
declare const optimizer: OptimizerSpec;

({ ...job, metadata: { name: 'job' } }) satisfies FedBiOTJob;
({ ...spec, method: 'FedOT', data: { ...spec.data, eval: spec.data.train } }) satisfies FedBiOTJobSpec;
spec satisfies DefaultedSpec;
({ phase: 'Running', conditions: [] }) satisfies FedBiOTJobStatus;
({}) satisfies FedBiOTJobStatus;

// @ts-expect-error the spec is missing
({ apiVersion: 'fedbiot.io/v1alpha1', kind: 'FedBiOTJob', metadata: { name: 'job' } }) satisfies FedBiOTJob;
// @ts-expect-error the name is missing
({ ...job, metadata: { namespace: 'default' } }) satisfies FedBiOTJob;
// @ts-expect-error another kind
({ ...job, kind: 'Job' }) satisfies FedBiOTJob;
// @ts-expect-error another version
({ ...job, apiVersion: 'fedbiot.io/v1' }) satisfies FedBiOTJob;
// @ts-expect-error a parsed job has no status
({ ...job, status: {} }) satisfies FedBiOTJob;
// @ts-expect-error a label is a string
({ ...job, metadata: { name: 'job', labels: { team: 1 } } }) satisfies FedBiOTJob;

// @ts-expect-error an unknown method
({ ...spec, method: 'FedAvg' }) satisfies FedBiOTJobSpec;
// @ts-expect-error an unknown task
({ ...spec.evaluation, task: 'bleu' }) satisfies FedBiOTJobSpec['evaluation'];
// @ts-expect-error an unknown field
({ ...spec, rounds: 3 }) satisfies FedBiOTJobSpec;
// @ts-expect-error a number is not written as text
({ ...spec, seed: '7' }) satisfies FedBiOTJobSpec;
// @ts-expect-error a field that is not there is left out
({ ...spec.data, eval: undefined }) satisfies FedBiOTJobSpec['data'];
// @ts-expect-error the training records are missing
({ partition: spec.data.partition, shuffle: true }) satisfies FedBiOTJobSpec['data'];
// @ts-expect-error an unknown projection
({ ...spec.adapter.lora, targets: ['q_proj', 'lm_head'] }) satisfies LoraSpec;
// @ts-expect-error one beta
({ ...optimizer, betas: [0.9] }) satisfies OptimizerSpec;
// @ts-expect-error three betas
({ ...optimizer, betas: [0.9, 0.99, 0.999] }) satisfies OptimizerSpec;
// @ts-expect-error what the presets fill may be absent before
defaulted satisfies FedBiOTJobSpec;
// @ts-expect-error a quorum may be absent before the presets
defaulted.federation.quorum satisfies number;
// @ts-expect-error public records may be absent
spec.data.public satisfies DataSource;

// @ts-expect-error an unknown phase
({ phase: 'Done' }) satisfies FedBiOTJobStatus;
// @ts-expect-error an unknown field of the status
({ phase: 'Running', progress: 1 }) satisfies FedBiOTJobStatus;
// @ts-expect-error the reason of the condition is missing
({ type: 'Complete', status: 'True', message: '', lastTransitionTime: '' }) satisfies JobCondition;
// @ts-expect-error the status of a condition is a word, not a boolean
({ type: 'Complete', status: true, reason: 'Done', message: '', lastTransitionTime: '' }) satisfies JobCondition;
