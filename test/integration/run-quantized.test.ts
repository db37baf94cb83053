// A job with an emulator in 8 or in 4 bits gives the same adapter to the bit, with one compute process or three, also
// if it is interrupted and resumed; and another adapter than with the emulator as stored.
import { appendFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { LiveEvent } from '../../worker/report/display-state.ts';
import { fillWeight } from '../support/filled-weight.ts';
import { runTinyJob, runTinyJobTo, writeTinyJob } from '../support/tiny-job.ts';
import { WHOLE_BLOCKS } from '../support/tiny-model.ts';

const EMULATOR = 'layerDropRate: 0.5, alignment: { initialSteps: 4, stepsPerRound: 2, sequenceLength: 192 }';

const FORMATS = [
  {
    format: 'Int8',
    bits: 8,
    tooLarge: 'the emulator in 8 bits has hidden states that are NaN or infinite after layer 3',
  },
  {
    format: 'Int4',
    bits: 4,
    tooLarge: 'on public data, gate_proj, up_proj of layer 3 read values that are NaN or infinite',
  },
] as const;

for (const { format, tooLarge } of FORMATS)
  t.test(`${format}: a model whose states are too large is refused, and the layer is named`, async (t) => {
    const root = t.testdir({});
    const job = writeTinyJob(root, { emulator: `{ weights: ${format}, ${EMULATOR} }` }, WHOLE_BLOCKS);
    fillWeight(join(root, 'model', 'model.safetensors'), 'model.layers.3.post_attention_layernorm.weight', 3e38);
    await t.rejects(runTinyJob(job, join(root, 'out')), {
      name: 'UserError',
      message: tooLarge,
      hint: /emulator\.weights: AsStored/,
    });
  });

t.test('of a model that changes while it is rounded, no layer is kept from then on', async (t) => {
  const root = t.testdir({});
  const out = join(root, 'out');
  const job = writeTinyJob(root, { emulator: `{ weights: Int4, ${EMULATOR} }` }, WHOLE_BLOCKS);
  const weights = join(root, 'model', 'model.safetensors');
  const onEvent = (event: LiveEvent) => {
    if (event.event === 'quantizing' && event.done === 8) fillWeight(weights, 'model.norm.weight', 1);
  };
  await t.rejects(runTinyJob(job, out, { onEvent }), {
    name: 'UserError',
    message: `${weights} was changed while it was used`,
  });
  const [folder = ''] = readdirSync(join(out, 'cache'));
  t.same(readdirSync(join(out, 'cache', folder)), ['layer-0.safetensors', 'unfinished.safetensors']);
});

for (const { format, bits } of FORMATS)
  t.test(`a run whose file in ${bits} bits changes ends at once`, async (t) => {
    const root = t.testdir({});
    const out = join(root, 'out');
    const change = () => {
      const name = readdirSync(join(out, 'cache')).find((name) => name.endsWith(`-int${bits}`)) ?? '';
      appendFileSync(join(out, 'cache', name, 'layer-0.safetensors'), 'more');
    };
    await t.rejects(
      runTinyJob(writeTinyJob(root, { emulator: `{ weights: ${format}, ${EMULATOR} }` }, WHOLE_BLOCKS), out, {
        onEvent: ({ event }) => void (event === 'round' && change()),
      }),
      { name: 'UserError', message: /-int[84]\/layer-0\.safetensors was changed while it was used/, hint: /--resume/ },
    );
  });

for (const { format, placement, model } of [
  { format: 'Int8', placement: 'Last', model: '{ uri: model }' },
  { format: 'Int8', placement: 'Both', model: '{ uri: model }' },
  { format: 'Int4', placement: 'Last', model: '{ uri: model }' },
  { format: 'Int4', placement: 'Both', model: '{ uri: model }' },
  { format: 'Int4', placement: 'Last', model: '{ uri: model, computeWeights: Int8 }' },
] as const)
  t.test(`${format}, placement ${placement}, model ${model}`, { timeout: 120_000 }, async (t) => {
    const root = t.testdir({});
    const adapter = `{ placement: ${placement}, layers: 1, lora: { rank: 4 } }`;
    const quantized = writeTinyJob(
      root,
      { emulator: `{ weights: ${format}, ${EMULATOR} }`, adapter, model },
      WHOLE_BLOCKS,
    );
    const run = async (job: string, out: string, options: Parameters<typeof runTinyJobTo>[2] = {}) => {
      const report = await runTinyJobTo(job, join(root, out), options);
      return report && report.adapterSha256;
    };
    const adapterSha256 = await run(quantized, 'first');
    t.match(adapterSha256, /^[0-9a-f]{64}$/);
    t.equal(await run(quantized, 'three', { workers: 3 }), adapterSha256, 'with three compute processes');
    t.equal(await run(quantized, 'stopped', { stopAt: 3 }), null, 'interrupted');
    t.equal(await run(quantized, 'stopped', { resume: true }), adapterSha256, 'and resumed');
    const suffix = `-${format.toLowerCase()}`;
    t.equal(readdirSync(join(root, 'stopped', 'cache')).filter((name) => name.endsWith(suffix)).length, 1);
    const stored = writeTinyJob(root, { emulator: `{ ${EMULATOR} }`, adapter, model }, WHOLE_BLOCKS);
    t.not(await run(stored, 'stored'), adapterSha256);
  });
