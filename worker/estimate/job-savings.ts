import type { FedBiOTJobSpec } from '../../crds/types.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import { holdsProjections } from '../model/weights/quantized-formats.ts';
import type { QuantizedFormat } from '../model/weights/quantized-formats.ts';
import { tasks } from '../tasks/registry.ts';
import { computesLessInInt8, withPlannedComputeWeights, withPlannedQuantized } from './planned-quantized.ts';
import { halves } from './savings.ts';
import type { Saving } from './savings.ts';

/** What decides the memory of a job. */
export interface JobSettings {
  readonly model: FederatedModel;
  readonly spec: FedBiOTJobSpec;
  /** Compute processes of `fedbiot run`. */
  readonly workers: number;
}

/** Shorter sequences would hold too little of a record. */
const LEAST_LENGTH = 64;

/** The schema's maximum of federation.local.gradientAccumulation. */
const MOST_ACCUMULATION = 4096;

/** Changes that leave the result as it is come first. */
export const JOB_SAVINGS: readonly Saving<JobSettings>[] = [
  fewerWorkers,
  fewerParallelClients,
  smallerLocalBatch,
  smallerEvaluationBatch,
  computeWeightsInInt8,
  evaluationOfTokens,
  emulatorInFewerBits,
  smallerAlignmentBatch,
  shorterLocalSequences,
  shorterAlignmentSequences,
];

function fewerWorkers(settings: JobSettings) {
  return halves(settings.workers).map((workers) => ({
    words: `--workers ${workers}`,
    settings: { ...settings, workers },
  }));
}

function fewerParallelClients(settings: JobSettings) {
  const { client } = settings.spec;
  return halves(client.parallelClients).map((parallelClients) => ({
    words: `client.parallelClients: ${parallelClients}`,
    settings: withSpec(settings, { client: { ...client, parallelClients } }),
  }));
}

/** The passes of a step have smaller batches, and there are more of them. */
function smallerLocalBatch(settings: JobSettings) {
  const { local } = settings.spec.federation;
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
      settings: withLocal(settings, changed),
    }));
}

function smallerEvaluationBatch(settings: JobSettings) {
  const { evaluation, data } = settings.spec;
  if (data.eval === undefined) return [];
  return halves(evaluation.batchSize).map((batchSize) => ({
    words: `evaluation.batchSize: ${batchSize}`,
    settings: withSpec(settings, { evaluation: { ...evaluation, batchSize } }),
  }));
}

function computeWeightsInInt8(settings: JobSettings) {
  if (!computesLessInInt8(settings.model)) return [];
  const planned = { ...settings, model: withPlannedComputeWeights(settings.model) };
  const changed = withSpec(planned, { model: { ...settings.spec.model, computeWeights: 'Int8' } });
  return [{ words: 'model.computeWeights: Int8', settings: changed }];
}

function evaluationOfTokens(settings: JobSettings) {
  const { evaluation, data } = settings.spec;
  if (data.eval === undefined || !tasks[evaluation.task].generates) return [];
  return [
    {
      words: 'evaluation.task: tokens',
      settings: withSpec(settings, { evaluation: { ...evaluation, task: 'tokens' } }),
    },
  ];
}

function emulatorInFewerBits(settings: JobSettings) {
  const { emulator } = settings.spec;
  const { config } = settings.model;
  return FEWER_BITS[emulator.weights]
    .filter((weights) => holdsProjections(weights, config))
    .map((weights) => {
      const model = withPlannedQuantized(settings.model, weights);
      const changed = withSpec({ ...settings, model }, { emulator: { ...emulator, weights } });
      return { words: `emulator.weights: ${weights}`, settings: changed };
    });
}

/** The formats of an emulator that are smaller than another, the largest first. */
const FEWER_BITS: Record<FedBiOTJobSpec['emulator']['weights'], readonly QuantizedFormat[]> = {
  AsStored: ['Int8', 'Int4'],
  Int8: ['Int4'],
  Int4: [],
};

function smallerAlignmentBatch(settings: JobSettings) {
  return halves(settings.spec.emulator.alignment.batchSize).map((batchSize) => ({
    words: `emulator.alignment.batchSize: ${batchSize}`,
    settings: withAlignment(settings, { batchSize }),
  }));
}

function shorterLocalSequences(settings: JobSettings) {
  return halves(settings.spec.federation.local.sequenceLength, LEAST_LENGTH).map((sequenceLength) => ({
    words: `federation.local.sequenceLength: ${sequenceLength}`,
    settings: withLocal(settings, { sequenceLength }),
  }));
}

function shorterAlignmentSequences(settings: JobSettings) {
  return halves(settings.spec.emulator.alignment.sequenceLength, LEAST_LENGTH).map((sequenceLength) => ({
    words: `emulator.alignment.sequenceLength: ${sequenceLength}`,
    settings: withAlignment(settings, { sequenceLength }),
  }));
}

const withSpec = (settings: JobSettings, changed: Partial<FedBiOTJobSpec>): JobSettings => ({
  ...settings,
  spec: { ...settings.spec, ...changed },
});

function withLocal(settings: JobSettings, changed: Partial<FedBiOTJobSpec['federation']['local']>): JobSettings {
  const { federation } = settings.spec;
  return withSpec(settings, { federation: { ...federation, local: { ...federation.local, ...changed } } });
}

function withAlignment(settings: JobSettings, changed: Partial<FedBiOTJobSpec['emulator']['alignment']>): JobSettings {
  const { emulator } = settings.spec;
  return withSpec(settings, { emulator: { ...emulator, alignment: { ...emulator.alignment, ...changed } } });
}
