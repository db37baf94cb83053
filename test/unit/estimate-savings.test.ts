// What would make a job fit: single changes, several together, or the least that can be had.
import { dirname } from 'node:path';
import t from 'tap';
import { matrixProduct } from '../../worker/engine/matrix-product.ts';
import { estimateJob } from '../../worker/estimate/job-estimate.ts';
import { JOB_SAVINGS } from '../../worker/estimate/job-savings.ts';
import type { JobSettings } from '../../worker/estimate/job-savings.ts';
import { withPlannedComputeWeights } from '../../worker/estimate/planned-quantized.ts';
import { requiredMemory } from '../../worker/estimate/memory-check.ts';
import { plannedPod, plannedRun, plannedScoring } from '../../worker/estimate/planned-memory.ts';
import { adviceOf, halves } from '../../worker/estimate/savings.ts';
import type { Saving } from '../../worker/estimate/savings.ts';
import { openModelDirectory } from '../../worker/model/directory.ts';
import { formatBytes } from '../../worker/report/format.ts';
import { plannedModel } from '../../worker/run/estimate-job.ts';
import { readJob } from '../../worker/run/job-manifest.ts';
import { wholeModel } from '../../worker/run/whole-model.ts';
import type { WeightEntry } from '../../worker/safetensors/safetensors.ts';
import { writeTinyJob } from '../support/tiny-job.ts';
import { WHOLE_BLOCKS } from '../support/tiny-model.ts';

interface Box {
  readonly wide: number;
  readonly high: number;
}
const narrower: Saving<Box> = ({ wide, high }) =>
  halves(wide).map((less) => ({ words: `wide: ${less}`, settings: { wide: less, high } }));
const lower: Saving<Box> = ({ wide, high }) =>
  halves(high).map((less) => ({ words: `high: ${less}`, settings: { wide, high: less } }));
const advice = (box: Box, available: number) =>
  adviceOf(box, [narrower, lower], { bytesOf: ({ wide, high }) => wide * high, available });

t.test('the mildest of each single change that suffices, else several, else the least', async (t) => {
  t.same(halves(8), [4, 2, 1]);
  t.same(halves(7, 2), [3]);
  t.same(halves(1), []);
  t.equal(advice({ wide: 8, high: 4 }, 16), 'It fits with wide: 4 (16 B), or with high: 2 (16 B).');
  t.equal(advice({ wide: 8, high: 4 }, 4), 'It fits with wide: 1 (4 B).');
  t.equal(advice({ wide: 8, high: 4 }, 2), 'It fits with wide: 1, high: 2 (2 B).');
  t.equal(advice({ wide: 8, high: 4 }, 0), 'The least is 1 B, with wide: 1, high: 1.');
  t.equal(
    advice({ wide: 1, high: 1 }, 0),
    'No change of workers, batches, lengths or formats makes it smaller; a smaller model does.',
  );
  const larger = ({ wide, high }: Box) => Math.max(2 * wide, high);
  t.equal(
    adviceOf({ wide: 8, high: 6 }, [narrower, lower], { bytesOf: larger, available: 2 }),
    'It fits with wide: 1, high: 1 (2 B).',
    'a setting is changed again once the other needs no more than it',
  );
});

const JOB = writeTinyJob(
  t.testdir({}),
  {
    model: '{ uri: model, dtype: float16 }',
    federation: '{ local: { steps: 2, batchSize: 8, sequenceLength: 256, optimizer: { warmupSteps: 0 } } }',
    emulator: '{ alignment: { batchSize: 8, sequenceLength: 256, klWeight: 1 } }',
    evaluation: '{ task: qa, batchSize: 16 }',
    client: '{ parallelClients: 4 }',
  },
  WHOLE_BLOCKS,
);
const { spec } = readJob(JOB);
const stored = await openModelDirectory(`${dirname(JOB)}/model`);
const model = await plannedModel(stored, spec);
const context = { publicSequences: 8, heldOutSequences: 8, provider: 'cpu' as const, available: 2 ** 40 };
const plannedRunOf = ({ model, spec, workers }: JobSettings) => {
  const inContext = { ...context, workers };
  return plannedRun(model, spec, inContext, estimateJob(model, spec, inContext));
};
const runBytes = (settings: JobSettings) => requiredMemory(plannedRunOf(settings).needed);

t.test('every saving of a job changes what it says, and needs less', async (t) => {
  const settings = { model, spec, workers: 4 };
  // In the job the alignment needs most, and with long answers the evaluation.
  const withLongAnswers = (changed: JobSettings): JobSettings => ({
    ...changed,
    spec: { ...changed.spec, evaluation: { ...changed.spec.evaluation, maxNewTokens: 65_536 } },
  });
  const bytesOf = (changed: JobSettings) =>
    [changed, withLongAnswers(changed)].flatMap((each) => [
      runBytes(each),
      requiredMemory(plannedPod(each.model, each.spec, 'server').needed),
      requiredMemory(plannedPod(each.model, each.spec, 'client').needed),
    ]);
  const before = bytesOf(settings);
  for (const saving of JOB_SAVINGS) {
    const changes = saving(settings);
    t.ok(changes.length > 0 || (saving.name === 'computeWeightsInInt8' && matrixProduct('cpu') === 'Float32'));
    for (const { words, settings: changed } of changes) {
      const written = /^--workers (\d+)$/.exec(words)?.[1] ?? /^[a-zA-Z.]+: (\w+)/.exec(words)?.[1];
      const found =
        /^([a-zA-Z.]+):/
          .exec(words)?.[1]
          ?.split('.')
          .reduce<unknown>((value, name) => Reflect.get(Object(value), name), changed.spec) ?? changed.workers;
      t.equal(String(found), written, words);
      const after = bytesOf(changed);
      t.ok(
        after.some((bytes, i) => bytes < before[i]!),
        `${words} saves something`,
      );
      t.ok(
        after.every((bytes, i) => bytes <= before[i]!),
        `${words} costs nothing`,
      );
    }
  }
  t.match(
    JOB_SAVINGS.flatMap((saving) => saving(settings).map(({ words }) => words)),
    [
      '--workers 2',
      '--workers 1',
      'client.parallelClients: 2',
      'client.parallelClients: 1',
      'federation.local.batchSize: 4 and gradientAccumulation: 2',
    ],
  );
});

t.test('the figures are those of the plan', async (t) => {
  const planned = plannedRunOf({ model, spec, workers: 1 });
  const least = requiredMemory(planned.needed) - 1;
  const [, figure] = /evaluation\.task: tokens \(([^)]+)\)/.exec(planned.advice(least)) ?? [];
  const tokens = { model, spec: { ...spec, evaluation: { ...spec.evaluation, task: 'tokens' as const } }, workers: 1 };
  t.equal(figure, formatBytes(runBytes(tokens)));
  t.match(plannedPod(model, spec, 'client').advice(1), /^The least is [\d.]+ MiB, with .*client\.parallelClients: 1/);
  t.notMatch(plannedPod(model, spec, 'client').advice(1), /evaluation|alignment|workers/, 'which its pod does not do');
});

t.test('pages of files are no memory that must be there', async (t) => {
  const halved = ([name, entry]: readonly [string, WeightEntry]) => {
    const shape = entry.shape.map((size) => 80 * size);
    return [name, { ...entry, dtype: 'F16' as const, shape, bytes: 2 * shape.reduce((a, b) => a * b, 1) }] as const;
  };
  // Weights of a graph above 512 MiB stay in their files.
  const large = { ...model, weights: new Map([...model.weights].map(halved)) };
  const tokens = { ...spec, evaluation: { ...spec.evaluation, task: 'tokens' as const } };
  const { needed, advice } = plannedPod(large, spec, 'server');
  t.ok(needed.filePages > 2 ** 29, `${needed.filePages} bytes of files`);
  const [, figure] = /evaluation\.task: tokens \(([^)]+)\)/.exec(advice(requiredMemory(needed) - 1)) ?? [];
  t.equal(figure, formatBytes(requiredMemory(plannedPod(large, tokens, 'server').needed)));
});

t.test('an evaluation names the options of its command', async (t) => {
  const whole = wholeModel(stored, null);
  const scoring = { task: 'qa', batchSize: 8, maxNewTokens: 256, length: 256, sequences: 100 } as const;
  t.match(plannedScoring(whole, scoring).advice(1), /^The least is .*--batch-size 1.*|--task tokens/);
  t.match(plannedScoring(whole, { ...scoring, task: 'loss' }).advice(1), /--sequence-length 64|No change/);
  if (matrixProduct('cpu') === 'Float32')
    return t.comment('NOT CHECKED: on this processor 8 bits need no less memory than other weights');
  const half = { ...whole, weights: model.weights };
  t.match(plannedScoring(half, { ...scoring, task: 'loss' }).advice(1), /--compute-weights Int8/);
  const int8 = withPlannedComputeWeights(half);
  t.notMatch(plannedScoring(int8, { ...scoring, task: 'loss' }).advice(1), /--compute-weights/, 'which it has');
});
