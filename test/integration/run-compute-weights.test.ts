// A job whose server computes in 8 bits gives the same adapter and scores to the bit, with one compute process or
// three, also if it is interrupted and resumed. Without an alignment the adapter is that of the job as stored.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { RunReport } from '../../crds/facts/report.ts';
import type { LiveEvent } from '../../worker/report/display-state.ts';
import { fillWeight } from '../support/filled-weight.ts';
import { runTinyJob, runTinyJobTo, writeTinyJob } from '../support/tiny-job.ts';

const ALIGNMENT = 'alignment: { initialSteps: 4, stepsPerRound: 2, sequenceLength: 192 }';
const NEVER = '{ layerDropRate: 0.5, alignment: { schedule: Never } }';
const MODELS = { int8: '{ uri: model, computeWeights: Int8 }', stored: '{ uri: model }' };

/** What must be the same to the bit. */
const resultOf = (report: RunReport | null) => ({ adapter: report?.adapterSha256, scores: report?.final });

const caches = (out: string, ending: RegExp) => readdirSync(join(out, 'cache')).filter((name) => ending.test(name));

for (const [placement, weights] of [
  ['Last', 'AsStored'],
  ['Both', 'Int8'],
])
  t.test(`placement ${placement}, emulator ${weights}`, { timeout: 240_000 }, async (t) => {
    const root = t.testdir({});
    const out = (name: string) => join(root, name);
    const sections = {
      emulator: `{ weights: ${weights}, layerDropRate: 0.5, layerSelection: Importance, ${ALIGNMENT} }`,
      adapter: `{ placement: ${placement}, layers: 1, lora: { rank: 4 } }`,
      evaluation: '{ task: qa, maxNewTokens: 3 }',
    };
    const int8 = writeTinyJob(root, { ...sections, model: MODELS.int8 });
    const first = resultOf(await runTinyJobTo(int8, out('first')));
    t.match(first.adapter, /^[0-9a-f]{64}$/);
    t.same(resultOf(await runTinyJobTo(int8, out('three'), { workers: 3 })), first, 'with three compute processes');
    t.equal(await runTinyJobTo(int8, out('stopped'), { stopAt: 3 }), null, 'interrupted');
    t.same(resultOf(await runTinyJobTo(int8, out('stopped'), { resume: true })), first, 'and resumed');
    t.equal(caches(out('stopped'), /-int8$/).length, 1, 'one file for both settings');
    const stored = resultOf(await runTinyJobTo(writeTinyJob(root, sections), out('stored')));
    t.not(stored.adapter, first.adapter, 'the states of the teacher part are others');
    t.strictNotSame(stored.scores?.base, first.scores?.base, 'and so are the scores of the model alone');
    if (placement === 'Last')
      t.strictNotSame(caches(out('stored'), /^teacher-/), caches(out('first'), /^teacher-/), 'states have other keys');
  });

t.test('without an alignment, clients train as if the server computed with the weights as stored', async (t) => {
  const root = t.testdir({});
  const reports = new Map<string, RunReport | null>();
  for (const [name, model] of Object.entries(MODELS))
    reports.set(name, await runTinyJobTo(writeTinyJob(root, { model, emulator: NEVER }), join(root, name)));
  const [int8, stored] = [reports.get('int8'), reports.get('stored')];
  t.match(int8?.adapterSha256, /^[0-9a-f]{64}$/);
  t.equal(int8?.adapterSha256, stored?.adapterSha256);
  for (const name of ['base', 'adapEmu', 'adapFu'] as const) {
    const [found, wanted] = [int8!.final![name].loss, stored!.final![name].loss];
    t.ok(found !== wanted && Math.abs(found - wanted) < 0.01, `${name}: ${found}, as stored ${wanted}`);
  }
});

const LAYERS = [
  { what: 'the teacher part', layer: 2, emulator: `{ layerDropRate: 0.5, ${ALIGNMENT} }` },
  {
    what: 'the teacher part, whose layers are selected by importance',
    layer: 2,
    emulator: `{ layerDropRate: 0.5, layerSelection: Importance, ${ALIGNMENT} }`,
  },
  { what: 'the teacher part, which only the evaluation computes', layer: 2, emulator: NEVER },
  { what: 'the adapter, which only the evaluation computes in 8 bits', layer: 5, emulator: NEVER },
];
for (const { what, layer, emulator } of LAYERS)
  t.test(`states that are too large in ${what} are refused, and the layer is named`, async (t) => {
    const root = t.testdir({});
    const job = writeTinyJob(root, { model: MODELS.int8, emulator });
    const name = `model.layers.${layer}.post_attention_layernorm.weight`;
    fillWeight(join(root, 'model', 'model.safetensors'), name, 3e38);
    const stepped: LiveEvent[] = [];
    await t.rejects(runTinyJob(job, join(root, 'out'), { onEvent: (event) => stepped.push(event) }), {
      name: 'UserError',
      message: `the full model in 8 bits has hidden states that are NaN or infinite after layer ${layer}`,
      hint: /model\.computeWeights: AsStored/,
    });
    t.same(
      stepped.filter(({ event }) => !['run', 'end'].includes(event)),
      [],
      'before any step',
    );
  });
