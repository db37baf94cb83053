// `fedbiot plan`: what it prints before a job begins.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { PlanEstimate } from '../../crds/facts/plan.ts';
import { planText } from '../../worker/report/summary.ts';
import { estimateManifest } from '../../worker/run/estimate-job.ts';
import { runTinyJob, writeTinyJob } from '../support/tiny-job.ts';
import { WHOLE_BLOCKS } from '../support/tiny-model.ts';
import { until } from '../support/until.ts';

const FEDBIOT = fileURLToPath(new URL('../../worker/fedbiot.ts', import.meta.url));

t.test('sizes of a plan are those of the files and vectors', async (t) => {
  const plan = await estimateManifest(writeTinyJob(t.testdir({})));
  // The tiny model: 6 layers of width 48, MLP 96, 4 heads of 12 with 2 for keys and values, vocabulary 556, tied.
  const layer = 2 * 48 + 48 * 48 * 2 + 48 * 24 * 2 + 3 * 48 * 96;
  const rest = 556 * 48 + 48;
  // Size of a rank-r LoRA on every projection: r·(in + out) each.
  const lora = (rank: number) => rank * (2 * 96 + 2 * (48 + 24) + 3 * (48 + 96));
  t.same(plan.layers, { total: 6, adapter: [4, 5], emulator: [0, 3], dropped: [1, 2] });
  t.same(plan.parameters, {
    full: 6 * layer + rest,
    emulator: 4 * layer + rest,
    adapterLora: 2 * lora(4),
    emulatorLora: 2 * lora(8),
  });
  t.same(plan.bytes, {
    fullModel: 4 * (6 * layer + rest),
    emulatorBundle: 4 * (4 * layer + rest),
    roundDown: 4 * (2 * lora(4) + 2 * lora(8)),
    fullModelRoundDown: 4 * (2 * lora(4) + 4 * lora(8)),
    roundUp: 4 * 2 * lora(4),
    // 2 + 1 steps of 4 sequences would need 12; there are 8.
    hiddenStateCache: 8 * 192 * 48 * 4,
  });
  t.ok(plan.memory.fits);
});

t.test('the plan agrees with the run', async (t) => {
  const directory = t.testdir({});
  const job = writeTinyJob(directory);
  const { memory, advice, disk: _, ...foreseen } = await estimateManifest(job);
  const result = await runTinyJob(job, join(directory, 'run'));
  if (result.outcome !== 'succeeded') throw new Error('interrupted');
  const { memory: said, ...plan } = result.report.plan;
  t.same(foreseen, plan);
  t.equal(advice, null);
  t.match(said, { server: memory.server, client: memory.client, evaluation: memory.evaluation, run: memory.run });
});

t.test('layers kept by importance are only counted, because they are measured when the run begins', async (t) => {
  const directory = t.testdir({});
  const emulator = '{ layerSelection: Importance, alignment: { sequenceLength: 192 } }';
  const plan = await estimateManifest(writeTinyJob(directory, { emulator }));
  t.same(plan.layers, { total: 6, adapter: [4, 5], kept: 2 });
  const { status, stdout } = spawnSync(process.execPath, [FEDBIOT, 'plan', join(directory, 'job.yaml'), '--no-time'], {
    encoding: 'utf8',
  });
  t.equal(status, 0);
  t.match(stdout, /emulator keeps +2, by importance, which the run measures on public data when it starts\n/);
  t.notMatch(stdout, /dropped/);
  t.notMatch(stdout, /time/);
  t.match(stdout, /This machine has enough memory\.\n$/);
});

t.test('a plan says if the memory has no room for the model’s files', async (t) => {
  const plan = await estimateManifest(writeTinyJob(t.testdir({})));
  const text = (available: number) =>
    planText({ ...plan, memory: { ...plan.memory, run: 5 * 2 ** 30, filePages: 4 * 2 ** 30, available } });
  t.match(text(5 * 2 ** 30), /This machine has enough memory\.\n$/);
  t.match(text(2 * 2 ** 30), /enough memory, but not for all pages of the model’s files: .* again and again\.\n$/);
});

t.test('memory of a GPU is in the plan of a job that computes with CUDA, on a machine without one', async (t) => {
  const job = writeTinyJob(t.testdir({}));
  const printed = (...options: string[]) =>
    spawnSync(process.execPath, [FEDBIOT, 'plan', job, '--no-time', ...options], { encoding: 'utf8' }).stdout;
  const rows = /GPU memory .*\n  server +1\.\d+ GiB\n  client +1\.\d+ GiB\n  evaluation +[\d.]+ GiB\n  fedbiot run, /;
  t.match(printed('--provider', 'cuda'), rows);
  t.notMatch(printed(), 'GPU');
  const { gpuMemory, ...plan } = await estimateManifest(job, { provider: 'cuda' });
  t.ok(gpuMemory && gpuMemory.run > gpuMemory.server);
  t.match(plan, { ...(await estimateManifest(job)), memory: { available: Number } });
});

t.test('the plan depends on the job’s settings', async (t) => {
  const planned = (sections: Record<string, string>) => estimateManifest(writeTinyJob(t.testdir({}), sections));
  const base = await planned({});
  const both = await planned({ adapter: '{ placement: Both, layers: 1, lora: { rank: 4 } }' });
  t.same(both.layers, { total: 6, adapter: [0, 5], emulator: [1, 4], dropped: [2, 3] });
  t.equal(both.bytes.hiddenStateCache, 0, 'behind adapter layers the states change, and none are kept');
  const half = await planned({ model: '{ uri: model, dtype: bfloat16 }' });
  t.equal(half.bytes.fullModel, base.bytes.fullModel / 2);
  const never = await planned({ emulator: '{ alignment: { schedule: Never } }' });
  t.equal(never.bytes.hiddenStateCache, 0);
  t.ok(never.memory.server < base.memory.server);
  const divergent = await planned({
    emulator: '{ alignment: { klWeight: 1, initialSteps: 2, stepsPerRound: 1, sequenceLength: 192 } }',
  });
  t.ok(divergent.memory.server > base.memory.server, 'the vocabulary’s logits take memory');
  const federation = '{ local: { batchSize: 8, sequenceLength: 192 } }';
  const dropout = await planned({ federation, adapter: '{ layers: 2, lora: { rank: 4, dropout: 0.1 } }' });
  t.ok(dropout.memory.client > (await planned({ federation })).memory.client, 'so do masks');
});

t.test('all missing inputs are reported at once', async (t) => {
  const directory = t.testdir({});
  const job = writeTinyJob(directory);
  const refused = (message: RegExp) => t.rejects(estimateManifest(job), { name: 'UserError', message });
  await t.rejects(estimateManifest(join(directory, 'nowhere.yaml')), {
    name: 'UserError',
    message: /nowhere\.yaml is missing/,
  });
  writeFileSync(join(directory, 'eval.jsonl'), '{"question": 1}\n');
  await refused(/eval\.jsonl:1/);
  rmSync(join(directory, 'train.jsonl'));
  await refused(/train\.jsonl is missing/);
  truncateSync(join(directory, 'model/model.safetensors'), 1000);
  await refused(/model\.safetensors .*truncated/);
});

t.test(
  'a run that this machine cannot hold is refused before it begins, and with --force begins with a warning',
  async (t) => {
    const directory = t.testdir({});
    // A cache of states that exceeds any machine would need a large model, but a large batch does not.
    const federation = '{ rounds: 1, clients: 1, local: { steps: 1, batchSize: 4096, sequenceLength: 1000000 } }';
    const job = writeTinyJob(directory, { federation });
    const plan = await estimateManifest(job);
    t.notOk(plan.memory.fits);
    const { stdout } = spawnSync(process.execPath, [FEDBIOT, 'plan', job, '--no-time'], { encoding: 'utf8' });
    t.match(stdout, /This machine does not have enough memory/);
    const run = spawnSync(process.execPath, [FEDBIOT, 'run', job, '--out', join(directory, 'refused')], {
      encoding: 'utf8',
    });
    t.equal(run.status, 2);
    t.match(
      run.stderr,
      /^error: this run needs about [\d.]+ [PT]iB of memory, but this machine has only .* available\nhint: .*--force/,
    );
    t.notOk(existsSync(join(directory, 'refused')), 'and nothing was written');
    const warnings: string[] = [];
    const stop = new AbortController();
    await runTinyJob(job, join(directory, 'run'), {
      force: true,
      signal: stop.signal,
      onEvent: (event) => {
        if (event.event !== 'warning') return;
        warnings.push(event.message);
        stop.abort(new Error('enough'));
      },
    });
    t.match(warnings, [/this run needs about [\d.]+ [PT]iB of memory, but this machine has only .* available/]);
  },
);

t.test('on the command line, as JSON', async (t) => {
  const job = writeTinyJob(t.testdir({}));
  const { status, stdout, stderr } = spawnSync(process.execPath, [FEDBIOT, 'plan', job, '--json'], {
    encoding: 'utf8',
  });
  t.equal(status, 0);
  t.equal(stderr, '');
  const printed: PlanEstimate = JSON.parse(stdout);
  const { memory, ...plan } = await estimateManifest(job);
  t.match(printed, plan);
  t.equal(printed.memory.run, memory.run);
  const { alignmentStep, clientStep, evaluation, firstRound, laterRound, job: all } = printed.time!;
  t.ok(Math.min(alignmentStep!, clientStep, evaluation!) > 0);
  t.ok(Math.abs(firstRound + laterRound! - all) < 1e-9, 'two rounds');
});

t.test('a signal ends the measurement, which leaves no files', async (t) => {
  const directory = t.testdir({});
  const job = writeTinyJob(directory);
  const temporary = join(directory, 'temporary');
  mkdirSync(temporary);
  const measured = () => readdirSync(temporary).filter((name) => name.startsWith('fedbiot-plan-'));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    const child = spawn(process.execPath, [FEDBIOT, 'plan', job], { env: { ...process.env, TMPDIR: temporary } });
    const ended = once(child, 'close');
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    await until('the measurement begins', 60, () => measured()[0] ?? null);
    child.kill(signal);
    t.same(await ended, [130, null], signal);
    t.equal(stderr, 'interrupted\n');
    t.same(measured(), []);
  }
});

t.test('the time of jobs with other kinds of work', async (t) => {
  const timeOf = async (sections: Record<string, string>) => {
    const job = writeTinyJob(t.testdir({}), { evaluation: '{ task: loss }', ...sections }, WHOLE_BLOCKS);
    const { time } = await estimateManifest(job, { workers: 2, threads: 1 });
    return time!;
  };
  const alignment = '{ klWeight: 1, languageModelWeight: 0.5, similarity: Layerwise, initialSteps: 2, batchSize: 1 }';
  for (const sections of [
    { emulator: `{ alignment: ${alignment} }` },
    { adapter: '{ placement: Both, layers: 1, lora: { rank: 4, dropout: 0.1 } }' },
    { emulator: '{ weights: Int8, alignment: { initialSteps: 2 } }', model: '{ uri: model, computeWeights: Int8 }' },
    { emulator: '{ weights: Int4, alignment: { schedule: Never } }' },
    { emulator: '{ alignment: { schedule: Never } }', evaluation: '{ task: qa, maxNewTokens: 3 }' },
    {
      model: '{ uri: model, dtype: bfloat16 }',
      data: '{ train: { uri: train.jsonl }, public: { uri: public.jsonl } }',
    },
  ]) {
    const time = await timeOf(sections);
    const known = Object.values(time).filter((seconds) => seconds !== null);
    t.ok(
      known.every((seconds) => seconds > 0 && seconds < Infinity),
      JSON.stringify(time),
    );
    const { emulator = '' } = sections;
    const parts = 6 - Number('data' in sections || emulator.includes('Never')) + Number(emulator.includes('Int4'));
    t.equal(known.length, parts, JSON.stringify(time));
  }
});
