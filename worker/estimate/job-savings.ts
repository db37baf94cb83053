import type { FedBiOTJobSpec } from '../../crds/types.ts';
import { tasks } from '../tasks/registry.ts';
import { halves } from './savings.ts';
import type { Saving } from './savings.ts';

/** What decides the memory of a job, beside its model. */
export interface JobSettings {
  readonly spec: FedBiOTJobSpec;
  /** Compute processes of `fedbiot run`. */
  readonly workers: number;
}

/** Shorter sequences would hold too little of a record. */
const LEAST_LENGTH = 64;

/** MAX of federation.local.gradientAccumulation. */
const MOST_ACCUMULATION = 4096;

/** Changes that leave the result as it is come first. */
export const JOB_SAVINGS: readonly Saving<JobSettings>[] = [
  fewerWorkers,
  fewerParallelClients,
  smallerLocalBatch,
  smallerEvaluationBatch,
  evaluationOfTokens,
  smallerAlignmentBatch,
  shorterLocalSequences,
  shorterAlignmentSequences,
];

function fewerWorkers({ spec, workers }: JobSettings) {
  return halves(workers).map((fewer) => ({ words: `--workers ${fewer}`, settings: { spec, workers: fewer } }));
}

function fewerParallelClients({ spec, workers }: JobSettings) {
  return halves(spec.client.parallelClients).map((parallelClients) => ({
    words: `client.parallelClients: ${parallelClients}`,
    settings: { workers, spec: { ...spec, client: { ...spec.client, parallelClients } } },
  }));
}

/** The passes of a step have smaller batches, and there are more of them. */
function smallerLocalBatch({ spec, workers }: JobSettings) {
  const { local } = spec.federation;
  return halves(local.batchSize)
    .map((batchSize) => ({
      batchSize,
      gradientAccumulation: (local.gradientAccumulation * local.batchSize) / batchSize,
    }))
    .filter(
      ({ gradientAccumulation }) => Number.isInteger(gradientAccumulation) && gradientAccumulation <= MOST_ACCUMULATION,
    )
    .map((changed) => ({
      words: `federation.local.batchSize: ${changed.batchSize} and gradientAccumulation: ${changed.gradientAccumulation}`,
      settings: withLocal({ spec, workers }, changed),
    }));
}

function smallerEvaluationBatch({ spec, workers }: JobSettings) {
  if (spec.data.eval === undefined) return [];
  return halves(spec.evaluation.batchSize).map((batchSize) => ({
    words: `evaluation.batchSize: ${batchSize}`,
    settings: { workers, spec: { ...spec, evaluation: { ...spec.evaluation, batchSize } } },
  }));
}

function evaluationOfTokens({ spec, workers }: JobSettings) {
  const { evaluation, data } = spec;
  if (data.eval === undefined || !tasks[evaluation.task].generates) return [];
  const settings: JobSettings = { workers, spec: { ...spec, evaluation: { ...evaluation, task: 'tokens' } } };
  return [{ words: 'evaluation.task: tokens', settings }];
}

function smallerAlignmentBatch({ spec, workers }: JobSettings) {
  return halves(spec.emulator.alignment.batchSize).map((batchSize) => ({
    words: `emulator.alignment.batchSize: ${batchSize}`,
    settings: withAlignment({ spec, workers }, { batchSize }),
  }));
}

function shorterLocalSequences({ spec, workers }: JobSettings) {
  return halves(spec.federation.local.sequenceLength, LEAST_LENGTH).map((sequenceLength) => ({
    words: `federation.local.sequenceLength: ${sequenceLength}`,
    settings: withLocal({ spec, workers }, { sequenceLength }),
  }));
}

function shorterAlignmentSequences({ spec, workers }: JobSettings) {
  return halves(spec.emulator.alignment.sequenceLength, LEAST_LENGTH).map((sequenceLength) => ({
    words: `emulator.alignment.sequenceLength: ${sequenceLength}`,
    settings: withAlignment({ spec, workers }, { sequenceLength }),
  }));
}

function withLocal(
  { spec, workers }: JobSettings,
  changed: Partial<FedBiOTJobSpec['federation']['local']>,
): JobSettings {
  const { federation } = spec;
  return { workers, spec: { ...spec, federation: { ...federation, local: { ...federation.local, ...changed } } } };
}

function withAlignment(
  { spec, workers }: JobSettings,
  changed: Partial<FedBiOTJobSpec['emulator']['alignment']>,
): JobSettings {
  const { emulator } = spec;
  return { workers, spec: { ...spec, emulator: { ...emulator, alignment: { ...emulator.alignment, ...changed } } } };
}
