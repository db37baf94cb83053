// `fedbiot export`: a run's adapter, finished or not, alone or merged into its model.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { openModelDirectory } from '../../worker/model/directory.ts';
import { openPeft } from '../../worker/model/lora/peft.ts';
import { defaults } from '../../worker/commands/eval.ts';
import { evaluateModel } from '../../worker/run/evaluate-model.ts';
import { exportAdapter } from '../../worker/run/export-adapter.ts';
import { runTinyJob, writeTinyJob } from '../support/tiny-job.ts';

const FEDBIOT = fileURLToPath(new URL('../../worker/fedbiot.ts', import.meta.url));

const root = t.testdir();
const job = writeTinyJob(root);
const run = join(root, 'run');
await runTinyJob(job, run);

const lossOf = async (model: string, adapter: string | null) => {
  const silent = { onProgress: () => {}, onWarning: () => {} };
  const data = join(root, 'eval.jsonl');
  const { loss } = await evaluateModel({
    model,
    adapter,
    data,
    task: 'loss',
    limit: null,
    sequenceLength: null,
    date: null,
    threads: 1,
    provider: 'cpu',
    force: false,
    verify: false,
    cache: null,
    ...silent,
    ...defaults,
  });
  return loss;
};

t.test('a finished adapter is exported to the byte', async (t) => {
  const to = join(t.testdir({}), 'new', 'adapter');
  const { checkpoint, rounds, ofRounds, files } = await exportAdapter({ run, to, merge: false, cache: null });
  t.same({ checkpoint, rounds, ofRounds }, { checkpoint: null, rounds: 2, ofRounds: 2 });
  t.same(files.map(({ name }) => name).sort(), ['adapter_config.json', 'adapter_model.safetensors']);
  for (const { name, bytes } of files) {
    const written = readFileSync(join(to, name));
    t.ok(written.equals(readFileSync(join(run, 'adapter', name))), name);
    t.equal(written.byteLength, bytes);
  }
  t.match(JSON.parse(readFileSync(join(to, 'adapter_config.json'), 'utf8')), {
    base_model_name_or_path: join(root, 'model'),
  });
});

t.test('the merged model scores like base and adapter together', async (t) => {
  const to = join(t.testdir({}), 'merged');
  const { files } = await exportAdapter({ run, to, merge: true, cache: null });
  t.same(files.map(({ name }) => name).sort(), readdirSync(join(root, 'model')).sort());
  const [merged, beside, base] = [
    await lossOf(to, null),
    await lossOf(join(root, 'model'), join(run, 'adapter')),
    await lossOf(join(root, 'model'), null),
  ];
  t.ok(Math.abs(merged - beside) < 1e-5, `${merged} merged, ${beside} beside each other`);
  t.ok(Math.abs(base - beside) > 1e-3, `the model alone: ${base}`);
  const report: { final: { base: { loss: number }; adapFu: { loss: number } } } = JSON.parse(
    readFileSync(join(run, 'report.json'), 'utf8'),
  );
  t.ok(Math.abs(report.final.adapFu.loss - merged) < 1e-5, 'as the run itself reported');
  t.ok(Math.abs(report.final.base.loss - base) < 1e-5);
});

t.test('a run that was interrupted gives the adapter of its newest checkpoint', async (t) => {
  const dir = t.testdir({});
  const stopped = join(dir, 'run');
  const stop = new AbortController();
  const onEvent = ({ event, ...rest }: { event: string; round?: number; phase?: string }) => {
    if (event === 'step' && rest.round === 2 && rest.phase === 'align') stop.abort(new Error('enough'));
  };
  t.match(await runTinyJob(job, stopped, { signal: stop.signal, onEvent }), { outcome: 'interrupted', round: 2 });
  const names = readdirSync(join(stopped, 'checkpoints'))
    .filter((name) => name.startsWith('round-'))
    .sort();
  const told = await exportAdapter({ run: stopped, to: join(dir, 'adapter'), merge: false, cache: null });
  t.same({ ...told, files: [] }, { checkpoint: 'round-0002-part-1', rounds: 1, ofRounds: 2, files: [] });
  t.ok(names.includes('round-0002-part-1'));

  const { config } = await openModelDirectory(join(root, 'model'));
  const newest = openPeft(join(dir, 'adapter'), config).values;
  t.notSame(newest, openPeft(join(run, 'adapter'), config).values, 'one round less');
  // The alignment of round 2 does not change the adapter of round 1.
  writeFileSync(join(stopped, 'checkpoints/round-0002-part-1/lora.safetensors'), 'torn');
  t.equal(
    (await exportAdapter({ run: stopped, to: join(dir, 'older'), merge: false, cache: null })).checkpoint,
    'round-0001',
    'a damaged one is passed over',
  );
  t.same(openPeft(join(dir, 'older'), config).values, newest);
  t.same(
    readdirSync(join(stopped, 'checkpoints'))
      .filter((name) => name.startsWith('round-'))
      .sort(),
    names,
    'and left where it is',
  );

  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [FEDBIOT, 'export', stopped, '--to', join(dir, 'told')],
    { encoding: 'utf8' },
  );
  t.equal(status, 0);
  t.equal(stderr, 'the run has not finished: this is the adapter of checkpoint round-0001, after 1 of 2 rounds\n');
  t.match(stdout, /told.adapter_model\.safetensors {2}[\d.]+ KiB/);

  rmSync(join(stopped, 'checkpoints'), { recursive: true });
  await t.rejects(exportAdapter({ run: stopped, to: join(dir, 'none'), merge: false, cache: null }), {
    name: 'UserError',
    message: /has no adapter yet/,
  });
});

t.test('what cannot be exported is refused, and nothing is written', async (t) => {
  const dir = t.testdir({ full: { file: '' }, empty: {}, file: '' });
  const refused = (change: object, message: RegExp) =>
    t.rejects(exportAdapter({ run, to: join(dir, 'new'), merge: true, cache: null, ...change }), {
      name: 'UserError',
      message,
    });
  await refused({ run: dir }, /is not the folder of a run: it has no job\.json/);
  await refused({ to: join(dir, 'full') }, /full exists and is not an empty folder/);
  await refused({ to: join(dir, 'file') }, /file exists and is not an empty folder/);

  const model = join(root, 'model');
  const config = join(model, 'config.json');
  const original = readFileSync(config, 'utf8');
  writeFileSync(config, original.replace('10000', '20000'));
  await refused({}, /is not the model that the run in .* was made with: its files have changed/);
  writeFileSync(config, original);
  renameSync(model, `${model}-away`);
  await refused({}, /model is not a directory/);
  renameSync(`${model}-away`, model);

  const damaged = join(dir, 'damaged');
  mkdirSync(damaged);
  for (const name of ['job.json', 'manifest.json', 'adapter'])
    cpSync(join(run, name), join(damaged, name), { recursive: true });
  writeFileSync(
    join(damaged, 'adapter/adapter_model.safetensors'),
    readFileSync(join(run, 'adapter/adapter_model.safetensors')).subarray(0, -8),
  );
  await refused({ run: damaged }, /adapter_model\.safetensors .*truncated/);
  t.same(readdirSync(dir).sort(), ['damaged', 'empty', 'file', 'full']);

  await exportAdapter({ run, to: join(dir, 'empty'), merge: true, cache: null });
  t.ok(readdirSync(join(dir, 'empty')).includes('model.safetensors'), 'an empty folder may be there');
});

t.test('a run’s folder contains a manifest that can be run again', async (t) => {
  const again = join(t.testdir({}), 'again');
  await runTinyJob(join(run, 'job.json'), again);
  const weights = (folder: string) => readFileSync(join(folder, 'adapter/adapter_model.safetensors'));
  t.ok(weights(again).equals(weights(run)), 'to the same adapter');
});
