// `fedbiot eval --compute-weights Int8`: the model's projections in 8 bits, in a file of the user's cache.
import { appendFileSync, existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { LoraSpec } from '../../crds/types.ts';
import { defaults } from '../../worker/commands/eval.ts';
import { initialLora, loraLayout } from '../../worker/model/lora/layout.ts';
import { exportPeft } from '../../worker/model/lora/peft.ts';
import { thisProcess } from '../../worker/files/process-identity.ts';
import { openModelDirectory } from '../../worker/model/directory.ts';
import { randomStream } from '../../worker/random.ts';
import { evaluateModel } from '../../worker/run/evaluate-model.ts';
import type { EvaluateOptions } from '../../worker/run/evaluate-model.ts';
import { fillWeight } from '../support/filled-weight.ts';
import { writeSums } from '../support/tiny-job.ts';
import { writeTinyModel } from '../support/tiny-model.ts';

/** Writes a model and records into a folder, and scores them with changed options. */
function scorer(root: string) {
  const model = join(root, 'model');
  const data = join(root, 'eval.jsonl');
  writeTinyModel(model);
  writeSums(data, 6);
  const score = (change: Partial<EvaluateOptions>) =>
    evaluateModel({
      ...{ model, data, adapter: null, task: 'tokens', limit: null, sequenceLength: null, date: null, threads: 1 },
      ...{ force: false, verify: false, cache: join(root, 'cache'), provider: 'cpu' },
      onProgress: () => {},
      onWarning: () => {},
      ...defaults,
      ...change,
    });
  return { model, score };
}

t.test('the loss changes a little, also with an adapter on all layers, and the file is written once', async (t) => {
  const root = t.testdir({});
  const { model, score } = scorer(root);
  const spec: LoraSpec = { rank: 2, alpha: 4, dropout: 0, targets: ['q_proj', 'down_proj'] };
  const { config } = await openModelDirectory(model);
  const layout = loraLayout(config, [0, 1, 2, 3, 4, 5], spec);
  const random = randomStream(3, 'adapter');
  const values = initialLora(layout, random).map((x) => x + 0.1 * random.normal());
  const path = join(root, 'adapter');
  exportPeft(path, { spec, layout, values }, model);
  const file = () => {
    const [name, ...others] = readdirSync(join(root, 'cache')).filter((each) => each.endsWith('-int8'));
    t.equal(others.length, 0);
    return statSync(join(root, 'cache', name!, 'layer-0.safetensors'), { bigint: true }).mtimeNs;
  };
  const written: bigint[] = [];
  for (const adapter of [null, path]) {
    const stored = await score({ adapter });
    const int8 = await score({ adapter, computeWeights: 'Int8' });
    const change = int8.loss - stored.loss;
    t.ok(change !== 0 && Math.abs(change) < 0.02, `${stored.loss} changes by ${change}`);
    t.same(await score({ adapter, computeWeights: 'Int8' }), int8, 'the same scores again');
    t.equal((await score({ adapter, task: 'qa', maxNewTokens: 2, computeWeights: 'Int8' })).loss, int8.loss);
    written.push(file());
  }
  t.equal(written[0], written[1]);
});

t.test('of several evaluations at once, one writes the file, and the others wait for it', async (t) => {
  const { score } = scorer(t.testdir({}));
  const warnings: string[] = [];
  const onWarning = (message: string) => void warnings.push(message);
  const scores = await Promise.all([1, 2, 3].map(() => score({ computeWeights: 'Int8', onWarning })));
  t.same(scores, Array(3).fill(await score({ computeWeights: 'Int8', onWarning })));
  t.same(warnings, Array(2).fill(`waiting for process ${process.pid}, which writes the weights in 8 bits`));
});

t.test('an evaluation that died while it wrote the file holds nobody up, one on another machine does', async (t) => {
  const root = t.testdir({});
  const { score } = scorer(root);
  const scored = await score({ computeWeights: 'Int8' });
  const folder = join(
    root,
    'cache',
    readdirSync(join(root, 'cache')).find((name) => name.endsWith('-int8'))!,
  );
  const lockOf = (owner: object) =>
    writeFileSync(join(folder, 'run.lock'), JSON.stringify({ ...thisProcess(), ...owner }));
  lockOf({ host: 'elsewhere' });
  t.same(await score({ computeWeights: 'Int8' }), scored, 'nothing is to be written');
  rmSync(join(folder, 'layer-3.safetensors'));
  await t.rejects(score({ computeWeights: 'Int8' }), {
    name: 'UserError',
    message: `${folder} is in use by another run: process ${process.pid} on elsewhere`,
    hint: /remove .*run\.lock\.$/,
  });
  lockOf({ started: 'before' });
  t.same(await score({ computeWeights: 'Int8' }), scored);
  t.notOk(existsSync(join(folder, 'run.lock')));
});

t.test('a file in 8 bits that changes while it is used is noticed', async (t) => {
  const root = t.testdir({});
  const { score } = scorer(root);
  const change = () => {
    const name = readdirSync(join(root, 'cache')).find((each) => each.endsWith('-int8')) ?? '';
    appendFileSync(join(root, 'cache', name, 'layer-0.safetensors'), 'more');
  };
  await t.rejects(score({ computeWeights: 'Int8', onProgress: change }), {
    name: 'UserError',
    message: /-int8\/layer-0\.safetensors was changed while it was used/,
  });
});

t.test('no folder, and states that are too large, are refused', async (t) => {
  const { model, score } = scorer(t.testdir({}));
  await t.rejects(score({ computeWeights: 'Int8', cache: null }), {
    name: 'UserError',
    message: /^--compute-weights Int8 needs a folder/,
    hint: /XDG_CACHE_HOME/,
  });
  fillWeight(join(model, 'model.safetensors'), 'model.layers.2.post_attention_layernorm.weight', 3e38);
  await t.rejects(score({ computeWeights: 'Int8' }), {
    name: 'UserError',
    message: 'the full model in 8 bits has hidden states that are NaN or infinite after layer 2',
    hint: /use --compute-weights AsStored/,
  });
  await t.rejects(score({}), {
    name: 'UserError',
    message: 'the loss of this model is NaN',
    hint: /another copy of the model\.$/,
  });
});
