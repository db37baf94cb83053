// The time of a job: its FLOPs at given speeds.
import t from 'tap';
import type { Test } from 'tap';
import { parseManifest } from '../../crds/parse.ts';
import type { AlignmentSpec } from '../../crds/types.ts';
import { sequenceOf } from '../../worker/data/sequence.ts';
import {
  alignmentStep,
  clientTraining,
  decodedToken,
  layerPass,
  promptPass,
  scoring,
  teacherStates,
  trunkStates,
} from '../../worker/estimate/flops.ts';
import type { SequenceSize, Shape } from '../../worker/estimate/flops.ts';
import { reduced, sizeOf } from '../../worker/estimate/job-sample.ts';
import type { JobSample } from '../../worker/estimate/job-sample.ts';
import { jobTime } from '../../worker/estimate/job-time.ts';
import { roundingProducts } from '../../worker/estimate/rounding-work.ts';
import { laterTokens } from '../../worker/estimate/speeds.ts';
import type { Speeds } from '../../worker/estimate/speeds.ts';
import { comparedStateBytes } from '../../worker/estimate/state-bytes.ts';
import { parseDecoderConfig } from '../../worker/model/config/config.ts';
import { modelWithSplit } from '../../worker/model/federated-model.ts';

const config = parseDecoderConfig(
  {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_size: 6,
    intermediate_size: 10,
    num_hidden_layers: 7,
    num_attention_heads: 3,
    num_key_value_heads: 1,
    vocab_size: 8,
    hidden_act: 'silu',
  },
  'config.json',
);
const shape: Shape = {
  config,
  adapterLora: { rank: 2, targets: ['q_proj'] },
  emulatorLora: { rank: 1, targets: ['down_proj'] },
  teacherLayers: 5,
  emulatorLayers: 3,
  frontLayers: 0,
  tailLayers: 2,
};

/** Sequences of 3 and 5 tokens, of which 1 and 3 are labelled. */
const texts = [sequenceOf([1, 2, 3], [-100, -100, 3]), sequenceOf([1, 2, 3, 4, 5], [-100, -100, 3, 4, 5])];
const sizes: readonly SequenceSize[] = [
  { tokens: 3, labelled: 1 },
  { tokens: 5, labelled: 3 },
];
const sample: JobSample = {
  public: texts,
  train: texts,
  heldOut: texts,
  prompts: [[1, 2]],
  records: { public: 20, heldOut: 10 },
};
/** Different speeds, so that none can stand for another. */
const speeds = {
  calibration: 17,
  rounding: 19,
  alignment: 2,
  teacher: 3,
  client: 5,
  scoring: 7,
  prompts: 11,
  decoding: 13,
} satisfies Speeds;

/** Mean seconds of a text. */
const at = (work: keyof typeof speeds, flops: (sizes: readonly SequenceSize[]) => number) =>
  flops(sizes) / sizes.length / speeds[work];
const step = at('alignment', (all) => alignmentStep(shape, all, { klWeight: 0, languageModelWeight: 0 }));
const states = at('teacher', (all) => teacherStates(shape, all));
const trained = at('client', (all) => clientTraining(shape, all));
const scored = at('scoring', (all) => scoring(shape, all));
const teacher = at('scoring', (all) => trunkStates(shape, 'teacher', all));
const emulator = at('scoring', (all) => trunkStates(shape, 'emulator', all));
const written = (trunk: 'teacher' | 'emulator') =>
  promptPass(shape, trunk, [{ tokens: 2 }]) / speeds.prompts + (3 * decodedToken(shape, trunk, 4)) / speeds.decoding;

const sections = {
  emulator: '{ alignment: { initialSteps: 4, stepsPerRound: 2, batchSize: 3 } }',
  federation: '{ rounds: 5, clients: 4, local: { steps: 6, batchSize: 2, gradientAccumulation: 3 } }',
  evaluation: '{ task: qa, everyRounds: 2, maxNewTokens: 4 }',
};

function specOf(changed: Partial<typeof sections> = {}) {
  const { emulator, federation, evaluation } = { ...sections, ...changed };
  return parseManifest(
    `{apiVersion: fedbiot.io/v1alpha1, kind: FedBiOTJob, metadata: {name: time}, spec: {model: {uri: m},
      data: {train: {uri: t}, public: {uri: p}, eval: {uri: e}},
      emulator: ${emulator}, federation: ${federation}, evaluation: ${evaluation}}}`,
    'time',
  ).spec;
}

type Options = Partial<Parameters<typeof jobTime>[2]> & { readonly of?: Shape };
const timeOf = (spec: ReturnType<typeof specOf>, { of = shape, ...options }: Options = {}) =>
  jobTime(of, spec, { sample, speeds, comparedBytes: 6 * 4, workers: 1, ...options });

function near(t: Test, found: number | null, wanted: number, what: string) {
  t.ok(found !== null && Math.abs(found - wanted) < 1e-9 * wanted, `${what}: ${found}, not ${wanted}`);
}

t.test('alignment, clients and evaluations of all rounds', async (t) => {
  const time = timeOf(specOf());
  near(t, time.alignmentStep, 3 * step, 'a step of three texts');
  near(t, time.clientStep, 3 * 2 * trained, 'a step of three batches of two');
  const clients = 4 * 6 * time.clientStep;
  // Twelve texts of twenty are new in the first round; the other rounds need 24 more, of which eight are new.
  const first = 4 * 3 * step + 12 * states + clients;
  near(t, time.firstRound, first, 'the first round, without an evaluation');
  const base = 10 * (teacher + scored + written('teacher'));
  const each = 10 * (emulator + 2 * scored + written('emulator') + written('teacher'));
  // After rounds 2, 4 and 5.
  const evaluations = base + 3 * each;
  near(t, time.evaluation, evaluations / 3, 'an evaluation; the states of the full model are computed once');
  const job = first + 4 * (2 * 3 * step + clients) + 8 * states + evaluations;
  near(t, time.job, job, 'all rounds');
  near(t, time.laterRound, (job - first) / 4, 'a later round');
});

t.test('settings that change the time', async (t) => {
  const { clientStep, firstRound, alignmentStep: aligned } = timeOf(specOf());
  const clients = (count: number) => count * 6 * clientStep;
  near(t, timeOf(specOf(), { workers: 3 }).firstRound, firstRound - clients(2), 'four clients in three processes');
  const half =
    '{ rounds: 5, clients: 4, dropoutRate: 0.5, local: { steps: 6, batchSize: 2, gradientAccumulation: 3 } }';
  near(t, timeOf(specOf({ federation: half })).firstRound, firstRound - clients(2), 'half of the clients drop out');
  const once = '{ rounds: 1, clients: 4, local: { steps: 6, batchSize: 2, gradientAccumulation: 3 } }';
  const single = timeOf(specOf({ federation: once, evaluation: '{ task: loss }' }));
  t.equal(single.laterRound, null);
  t.equal(single.job, single.firstRound, 'the only round is evaluated');
  const last = timeOf(specOf({ evaluation: '{ task: qa, everyRounds: 0, maxNewTokens: 4 }' }));
  near(
    t,
    last.evaluation,
    timeOf(specOf({ evaluation: '{ task: qa, everyRounds: 5, maxNewTokens: 4 }' })).evaluation!,
    '0 means after the last round',
  );
  const never = timeOf(specOf({ emulator: '{ alignment: { schedule: Never } }' }));
  t.equal(never.alignmentStep, null);
  near(t, never.firstRound, firstRound - 4 * aligned! - 12 * states, 'nothing is aligned');
  const without = timeOf(specOf(), { sample: { ...sample, heldOut: [], prompts: [] } });
  t.equal(without.evaluation, null);
  near(t, without.firstRound, firstRound, 'nothing is evaluated');
  const untold = timeOf(specOf(), { sample: { ...sample, prompts: [] } });
  near(t, untold.evaluation, (10 * (teacher + scored) + 30 * (emulator + 2 * scored)) / 3, 'nothing is generated');
});

t.test('rounding to 4 bits: passes of all layers, and the matrices of the emulator', async (t) => {
  t.equal(timeOf(specOf()).rounding, null);
  const spec = specOf({
    emulator: '{ weights: Int4, alignment: { initialSteps: 4, stepsPerRound: 2, batchSize: 3 } }',
  });
  const roundingOf = (tokens: number, pass: number, of = shape) => {
    const layers = of.frontLayers + of.teacherLayers;
    return (layers * pass + 3 * roundingProducts(config, tokens)) / 17 + (3 * 276) / 19;
  };
  const pass = layerPass(shape, sizes) / 2;
  near(t, timeOf(spec).rounding, roundingOf(20 * 4, 20 * pass), 'all twenty texts, of 4 tokens');
  const of = { ...shape, frontLayers: 2 };
  near(t, timeOf(spec, { of }).rounding, roundingOf(80, 20 * pass, of), 'also through the layers before the emulator');
  const many = { ...sample, records: { public: 1e6, heldOut: 10 } };
  near(t, timeOf(spec, { sample: many }).rounding, roundingOf(8192, 2048 * pass), 'as many texts as have 8,192 tokens');
  t.equal(timeOf(spec).job, timeOf(specOf()).job, 'it is no part of the rounds');
});

t.test('states that are not kept are computed again', async (t) => {
  const { firstRound, job } = timeOf(specOf());
  const of = { ...shape, frontLayers: 2 };
  const moved = timeOf(specOf(), { of });
  const changing = at('teacher', (all) => teacherStates(of, all));
  const aligned = (time: ReturnType<typeof timeOf>) => time.firstRound - 24 * time.clientStep;
  near(t, aligned(moved), 4 * moved.alignmentStep! + 12 * changing, 'behind adapter layers, in the first round');
  // Sixteen of the later rounds' 24 texts have been seen.
  const evaluated = 3 * moved.evaluation!;
  near(
    t,
    moved.job - evaluated - 5 * 24 * moved.clientStep,
    12 * moved.alignmentStep! + 36 * changing,
    'and in later ones',
  );
  const many = { ...sample, records: { public: 1e12, heldOut: 1e12 } };
  near(t, timeOf(specOf(), { sample: many }).firstRound, firstRound, 'the first round sees each text once');
  const large = timeOf(specOf(), { sample: many });
  near(t, large.evaluation! / 1e11, timeOf(specOf()).evaluation! + (3 * 10 * teacher) / 3, 'too many for memory');
  t.ok(job > firstRound);
});

t.test('states of all compared layers share the disk', async (t) => {
  // 1e8 distinct texts of 4 tokens: after one layer 9.6 GB of states, after three 28.8 GB.
  const spec = specOf({ emulator: '{ alignment: { initialSteps: 1000000, stepsPerRound: 2, batchSize: 300 } }' });
  const many = { ...sample, records: { public: 1e8, heldOut: 10 } };
  const split = { front: [], teacher: [0, 1, 2, 3, 4], emulator: [0, 2, 4], dropped: [1, 3], tail: [5, 6] };
  const model = modelWithSplit({ config, weights: new Map() }, split, spec);
  const computed = (similarity: AlignmentSpec['similarity']) => {
    const time = timeOf(spec, { sample: many, comparedBytes: comparedStateBytes(model, { similarity }, 1) });
    return (time.firstRound - 24 * time.clientStep - 1e6 * time.alignmentStep!) / states;
  };
  const kept = (8 * 2 ** 30) / (1e8 * 4 * 6 * 4);
  near(t, computed('L2'), 1e8 + 2e8 * (1 - kept), 'after one layer');
  near(t, computed('Layerwise'), 1e8 + 2e8 * (1 - kept / 3), 'after each kept layer');
});

t.test('cut texts keep labels', async (t) => {
  const ids = Array.from({ length: 40 }, (_, i) => i);
  const cut = (labelledFrom: number) => {
    const labels = ids.map((id) => (id < labelledFrom ? -100 : id));
    return reduced([sequenceOf(ids, labels)], { vocabulary: 7, tokens: 20 })[0]!;
  };
  t.same(
    [...cut(30).inputIds],
    ids.slice(0, 20).map((id) => id % 7),
  );
  t.same([...cut(30).labels], [...Array<number>(15).fill(-100), 1, 2, 3, 4, 5], 'a quarter, as of the whole text');
  t.equal(sizeOf(cut(39)).labelled, 1, 'at least one');
  t.equal(sizeOf(cut(40)).labelled, 0, 'none of a text without a label');
  t.equal(sizeOf(cut(18)).labelled, 2, 'those before the cut, if there are any');
});

t.test('seconds of later tokens are positive on a busy machine', async (t) => {
  t.equal(laterTokens(2, 5), 3);
  t.equal(laterTokens(2, 2), 0.2);
  t.equal(laterTokens(2, 1), 0.2);
});

t.test('a speed that the job needs and nobody measured is an error', async (t) => {
  t.throws(() => timeOf(specOf(), { speeds: { alignment: 1, teacher: 1 } }), {
    message: 'the speed of client was not measured',
  });
});
