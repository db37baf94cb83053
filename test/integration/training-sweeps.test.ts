// Alignment, clients and the measurement of layers' importance report how much is done of the states that they wait
// for, if layers run one at a time, and compute the same as with all layers in one session. An evaluation reports parts
// of its scores.
import { join } from 'node:path';
import t from 'tap';
import { parseManifest } from '../../crds/parse.ts';
import type { SweepProgress } from '../../crds/facts/events.ts';
import { sequenceOf } from '../../worker/data/sequence.ts';
import { Compute } from '../../worker/engine/compute.ts';
import type { LoraState } from '../../worker/federation/contracts.ts';
import { SWEPT_STATES } from '../../worker/inference/layer-sweep.ts';
import { splitLayers } from '../../worker/model/split.ts';
import { randomStream } from '../../worker/random.ts';
import { onPublicData } from '../../worker/run/on-public-data.ts';
import { EmulatorAligner } from '../../worker/training/alignment.ts';
import { AdapterTrainer } from '../../worker/training/local-update.ts';
import { familyFolder, openFamily } from '../support/family.ts';
import { runTinyJob, writeTinyJob } from '../support/tiny-job.ts';

const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 2 ** 31);
t.comment(`TEST_SEED=${seed}`);

const family = await openFamily(familyFolder('qwen2'));
const STEPS = 3;
const { spec } = parseManifest(
  `{apiVersion: fedbiot.io/v1alpha1, kind: FedBiOTJob, metadata: {name: swept}, spec: {
    model: {uri: m}, data: {train: {uri: t}, public: {uri: p}},
    emulator: {alignment: {batchSize: 2, initialSteps: ${STEPS}, klWeight: 0}},
    federation: {local: {steps: ${STEPS}, batchSize: 2}}}}`,
  'swept',
);

const random = randomStream(seed, 'sequences');
const vocabulary = family.model(splitOf('Last')).config.vocabSize;
const steps = Array.from({ length: STEPS }, () =>
  Array.from({ length: 2 }, () => {
    const ids = Array.from({ length: 5 + random.below(10) }, () => random.below(vocabulary));
    return sequenceOf(ids, ids);
  }),
);
const batches = {
  publicOrder: steps.flat(),
  alignment: (_: number, step: number) => steps[step]!,
  local: (_: number, _client: number, step: number) => [steps[step]!],
};

function splitOf(placement: 'Last' | 'Both') {
  return splitLayers({
    ...{ layers: family.oracle.layers, placement, adapterLayers: 1 },
    ...{ layerDropRate: 0.3, selection: 'Uniform' },
  });
}

const values = (size: number) => Float32Array.from({ length: size }, () => 0.05 * random.normal());

for (const placement of ['Last', 'Both'] as const)
  t.test(`adapter ${placement}`, async (t) => {
    const model = family.model(splitOf(placement));
    const lora: LoraState = {
      adapter: values(model.adapter.layout.size),
      emulator: values(model.emulator.layout.size),
    };
    const { signal } = new AbortController();

    /** Both phases in a compute process, one layer at a time if its limit is 0. */
    const trained = async (copiedWeightBytes?: number) => {
      const compute = new Compute({
        threads: 1,
        provider: 'cpu',
        ...(copiedWeightBytes === 0 && { copiedWeightBytes }),
      });
      const heard: SweepProgress[] = [];
      const common = { round: 1, lora, onStep: () => {}, onSweep: (sweep: SweepProgress) => heard.push(sweep), signal };
      const options = { compute, model, seed: 1, batches, pool: steps.flat() };
      try {
        const aligner = await EmulatorAligner.load({
          ...options,
          ...{ spec: spec.emulator.alignment, memoryBytes: SWEPT_STATES, disk: null },
        });
        const trainer = await AdapterTrainer.load({ ...options, spec: spec.federation.local });
        const outcome = await aligner.align({ ...common, from: null });
        const update = await trainer.train({ ...common, client: 3 });
        return { computed: { outcome, update }, heard };
      } finally {
        compute.close();
      }
    };
    const whole = await trained();
    const swept = await trained(0);
    t.strictSame(swept.computed, whole.computed, 'to the bit');
    t.same(whole.heard, [], 'one session has no layers to report');

    // With adapter layers in front, clients train through the emulator, and no state is computed ahead.
    const phases = placement === 'Last' ? (['align', 'local'] as const) : (['align'] as const);
    t.same([...new Set(swept.heard.map(({ phase }) => phase))], phases);
    for (const phase of phases) {
      const sweeps = swept.heard.filter((sweep) => sweep.phase === phase);
      const { front, teacher, emulator } = model.split;
      const layers = [...front, ...(phase === 'align' ? teacher : emulator)].length;
      t.equal(sweeps.length % layers, 0, 'once for each pass through a layer');
      t.same(
        sweeps.map(({ done }) => Math.round(done * sweeps.length)),
        Array.from(sweeps, (_, i) => i + 1),
        `${phase}: one sweep serves all steps`,
      );
      t.equal(sweeps.at(-1)?.done, 1);
      for (const { round, client } of sweeps) t.same([round, client], [1, phase === 'local' ? 3 : null]);
    }
  });

t.test('importance of layers', async (t) => {
  const model = family.model(splitOf('Last'));
  const { front, teacher } = model.split;
  const measured = async (copiedWeightBytes?: number) => {
    const compute = new Compute({ threads: 1, provider: 'cpu', ...(copiedWeightBytes === 0 && { copiedWeightBytes }) });
    const reached: number[] = [];
    const { influence } = onPublicData({
      ...{ compute, publicSequences: steps.flat(), seed, signal: new AbortController().signal },
      ...{ onMeasured: (done) => reached.push(done), onRounded: () => {} },
    });
    try {
      return { influence: await influence(model), reached };
    } finally {
      compute.close();
    }
  };
  const whole = await measured();
  t.same(whole.reached, []);
  const swept = await measured(0);
  t.strictSame(swept.influence, whole.influence, 'to the bit');
  const passes = swept.reached.length;
  t.ok(passes > 0 && passes % (front.length + teacher.length) === 0, 'once for each pass through a layer');
  t.same(
    swept.reached,
    Array.from(swept.reached, (_, i) => (i + 1) / passes),
  );
});

t.test('an evaluation reports parts of its scores', async (t) => {
  const root = t.testdir({});
  const job = writeTinyJob(root, { evaluation: '{ task: qa, maxNewTokens: 2, batchSize: 2, everyRounds: 0 }' });
  const reached: number[] = [];
  await runTinyJob(job, join(root, 'out'), {
    onEvent: (event) => {
      if (event.event !== 'evaluating') return;
      t.equal(event.total, 3);
      reached.push(event.done);
    },
  });
  t.same(
    reached,
    reached.toSorted((a, b) => a - b),
  );
  for (const score of [0, 1, 2])
    t.ok(new Set(reached.filter((done) => Math.floor(done) === score)).size > 2, `parts of score ${score}`);
  t.equal(reached.at(-1), 3);
});
