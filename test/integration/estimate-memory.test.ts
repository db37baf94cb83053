// How close a plan's memory is to a measurement, with a real model.
import t from 'tap';
import { parseManifest } from '../../crds/parse.ts';
import type { FedBiOTJobSpec } from '../../crds/types.ts';
import { sequenceOf } from '../../worker/data/sequence.ts';
import { Compute } from '../../worker/engine/compute.ts';
import { EmulatorAligner } from '../../worker/training/alignment.ts';
import { ModelEvaluator } from '../../worker/training/evaluation.ts';
import { AdapterTrainer } from '../../worker/training/local-update.ts';
import { openModelDirectory } from '../../worker/model/directory.ts';
import type { FederatedModel } from '../../worker/model/federated-model.ts';
import { loadTokenizer } from '../../worker/tokenizer/tokenizer.ts';
import { randomStream } from '../../worker/random.ts';
import { formatModel, startingLora } from '../../worker/run/job-model.ts';
import { estimateJob } from '../../worker/estimate/job-estimate.ts';
import { tasks } from '../../worker/tasks/registry.ts';
import { withoutPublicData } from '../support/without-public-data.ts';

const smollm2 = process.env['FEDBIOT_TEST_MODEL'] ?? '';
const skip =
  smollm2 === '' &&
  'NOT CHECKED, that a plan’s memory is what a real model takes: set FEDBIOT_TEST_MODEL (a SmolLM2-135M directory)';

/** Limits of the ratio of estimated to measured memory. */
const MIN_RATIO = 0.9;
const MAX_RATIO = 1.35;

/** Heaps are not filled equally in each run, and messages stay until they are garbage-collected. */
const SPREAD = 96 * 2 ** 20;

t.test('memory of each role, against the peak of its compute process', { skip }, async (t) => {
  const directory = await openModelDirectory(smollm2);
  const cases = [
    { role: 'server', batch: 1, klWeight: 0, method: 'FedBiOT' },
    { role: 'server', batch: 4, klWeight: 1, method: 'FedBiOT' },
    { role: 'client', batch: 1, klWeight: 0, method: 'FedBiOT' },
    { role: 'client', batch: 4, klWeight: 0, method: 'FedBiOT' },
    { role: 'client', batch: 4, klWeight: 0, method: 'FedOT' },
    { role: 'evaluation', batch: 4, klWeight: 0, method: 'FedBiOT' },
    { role: 'evaluation', batch: 4, klWeight: 0, method: 'FedBiOT', computeWeights: 'Int8' },
    { role: 'server', batch: 1, klWeight: 0, method: 'FedBiOT', weights: 'Int4' },
    { role: 'client', batch: 1, klWeight: 0, method: 'FedBiOT', weights: 'Int4' },
    { role: 'evaluation', batch: 4, klWeight: 0, method: 'FedBiOT', weights: 'Int4' },
  ] as const;
  for (const { role, batch, klWeight, method, ...rest } of cases) {
    const { computeWeights, weights } = { computeWeights: 'AsStored', weights: 'AsStored', ...rest };
    const { spec } = parseManifest(
      `{apiVersion: fedbiot.io/v1alpha1, kind: FedBiOTJob, metadata: {name: memory}, spec: {
        method: ${method}, model: {uri: m, computeWeights: ${computeWeights}}, data: {train: {uri: t}, public: {uri: p}, eval: {uri: e}},
        emulator: {
          weights: ${weights},
          alignment: {batchSize: ${batch}, sequenceLength: 256, initialSteps: 2, klWeight: ${klWeight}}},
        federation: {local: {batchSize: ${batch}, sequenceLength: 256, steps: 2}}}}`,
      'memory',
    );
    const format = { cache: t.testdir({}), provider: 'cpu', signal: AbortSignal.any([]) } as const;
    const { model } = await formatModel(directory, spec, withoutPublicData, format);
    const { memory } = estimateJob(model, spec, {
      ...{ publicSequences: 8, heldOutSequences: 8, workers: 1 },
      ...{ provider: 'cpu', available: 0 },
    });
    const { peak, rehearsed } = await peakOf(role, model, spec);
    const ratio = memory[role] / peak;
    const mebibytes = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MiB`;
    const what = `${role}, ${method}, batch ${batch}, klWeight ${klWeight}, emulator ${weights}, compute weights ${computeWeights}`;
    t.ok(
      MIN_RATIO < ratio && ratio < MAX_RATIO,
      `${what}: planned ${mebibytes(memory[role])}, measured ${mebibytes(peak)}`,
    );
    if (role === 'client')
      t.ok(
        rehearsed !== undefined && peak - rehearsed < SPREAD,
        `${what}: rehearsed with ${mebibytes(rehearsed ?? 0)}`,
      );
  }
});

/**
 * Peak resident size of a role's compute process with random, fully labelled sequences of full length; of a client
 * after its rehearsal. (The server maps the teacher's weights later, when it computes states.)
 */
async function peakOf(
  role: 'server' | 'client' | 'evaluation',
  model: FederatedModel,
  spec: FedBiOTJobSpec,
): Promise<{ peak: number; rehearsed: number | undefined }> {
  const { alignment } = spec.emulator;
  const { local } = spec.federation;
  const random = randomStream(1, 'memory');
  const pool = Array.from({ length: 8 }, () => {
    const ids = Array.from({ length: local.sequenceLength }, () => random.below(model.config.vocabSize));
    return sequenceOf(ids, ids);
  });
  const batch = (step: number) => pool.slice(step * local.batchSize, (step + 1) * local.batchSize);
  const batches = {
    publicOrder: pool,
    alignment: (_: number, step: number) => batch(step),
    local: (_: number, _client: number, step: number) => [batch(step)],
  };
  const lora = startingLora(model, spec, '.');
  const signal = new AbortController().signal;
  const compute = new Compute({ threads: 2, provider: 'cpu' });
  const common = { compute, model, batches, pool, seed: 0, memoryBytes: 2 ** 28 };
  const resident = async () => (await compute.usage()).peakMemoryBytes;
  let rehearsed: number | undefined;
  try {
    switch (role) {
      case 'server': {
        const aligner = await EmulatorAligner.load({ ...common, spec: alignment, disk: null });
        await aligner.rehearse();
        await aligner.align({ round: 1, lora, from: null, onStep: () => {}, onSweep: () => {}, signal });
        break;
      }
      case 'client': {
        const trainer = await AdapterTrainer.load({ ...common, spec: local });
        await trainer.rehearse();
        rehearsed = await resident();
        await trainer.train({ round: 1, client: 0, lora, onStep: () => {}, onSweep: () => {}, signal });
        break;
      }
      case 'evaluation': {
        const heldOut = { sequences: pool, prompts: [] };
        const tokenizer = await loadTokenizer(smollm2);
        const evaluator = await ModelEvaluator.load({
          ...common,
          spec: spec.evaluation,
          task: tasks.loss,
          heldOut,
          tokenizer,
        });
        await evaluator.evaluate({ lora, signal, onProgress: () => {} });
      }
    }
    return { peak: await resident(), rehearsed };
  } finally {
    compute.close();
  }
}
