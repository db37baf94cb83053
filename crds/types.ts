import type { Static } from 'typebox';
import type { Adapter } from './schema/adapter.ts';
import type { Partition, Source } from './schema/data.ts';
import type { Alignment, Emulator } from './schema/emulator.ts';
import type { Federation, Local } from './schema/federation.ts';
import type { Job, Metadata } from './schema/job.ts';
import type { Checkpoint, Evaluation, Model, Spec } from './schema/spec.ts';
import type { Lora, Projection as ProjectionSchema } from './schema/lora.ts';
import type { Optimizer } from './schema/optimizer.ts';
import type { PodTemplate } from './schema/pod-template.ts';
import type { ClientPods, ServerPod } from './schema/pods.ts';
import type { Status } from './schema/status.ts';
import type { OutputVolume as OutputVolumeSchema, Volume } from './schema/volumes.ts';

/** A job with the schema's defaults, before the presets. */
export type DefaultedJob = Static<typeof Job>;

/** A job with all defaults, those of the schema and those of the presets. */
export interface FedBiOTJob {
  apiVersion: Static<typeof Job>['apiVersion'];
  kind: Static<typeof Job>['kind'];
  metadata: Static<typeof Metadata>;
  spec: FedBiOTJobSpec;
}

/** T, with its preset fields K present. */
type Preset<T, K extends keyof T> = Omit<T, K> & { [Key in K]-?: Exclude<T[Key], undefined> };

export type AlignmentSpec = Preset<Static<typeof Alignment>, 'schedule' | 'languageModelWeight'>;
export type EmulatorSpec = Preset<Omit<Static<typeof Emulator>, 'alignment'>, 'layerDropRate'> & {
  alignment: AlignmentSpec;
};
export type AdapterSpec = Preset<Static<typeof Adapter>, 'placement' | 'layers'>;
export type LocalSpec = Preset<Static<typeof Local>, 'proximalWeight'>;
export type FederationSpec = Preset<Omit<Static<typeof Federation>, 'local'>, 'clientsPerRound' | 'quorum'> & {
  local: LocalSpec;
};

/** A spec with the schema's defaults, before the presets, as the API server stores it and the CEL rules see it. */
export type DefaultedSpec = Static<typeof Spec>;

export type FedBiOTJobSpec = Omit<DefaultedSpec, 'emulator' | 'adapter' | 'federation'> & {
  emulator: EmulatorSpec;
  adapter: AdapterSpec;
  federation: FederationSpec;
};

export type ModelSpec = Static<typeof Model>;
export type LoraSpec = Static<typeof Lora>;
export type OptimizerSpec = Static<typeof Optimizer>;
export type DataSource = Static<typeof Source>;
export type PartitionSpec = Static<typeof Partition>;
export type EvaluationSpec = Static<typeof Evaluation>;
export type CheckpointSpec = Static<typeof Checkpoint>;

export type Projection = Static<typeof ProjectionSchema>;
export type Method = FedBiOTJobSpec['method'];
export type Placement = AdapterSpec['placement'];

/** The job's pods on a cluster. */
export type ServerPodSpec = Static<typeof ServerPod>;
export type ClientPodSpec = Static<typeof ClientPods>;
export type PodTemplateSpec = Static<typeof PodTemplate>;
export type VolumeSource = Static<typeof Volume>;
export type OutputVolume = Static<typeof OutputVolumeSchema>;

/** What the operator reports about a job. */
export type FedBiOTJobStatus = Static<typeof Status>;
export type JobPhase = NonNullable<FedBiOTJobStatus['phase']>;
export type JobCondition = NonNullable<FedBiOTJobStatus['conditions']>[number];
