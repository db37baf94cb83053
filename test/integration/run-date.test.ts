// A chat template that writes the date: the same job has the same data on any day, and a run continues with the date it
// began with.
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { readJob } from '../../worker/run/job-manifest.ts';
import { resolveJobDate } from '../../worker/run/job-date.ts';
import { evaluateModel } from '../../worker/run/evaluate-model.ts';
import type { EvaluateOptions } from '../../worker/run/evaluate-model.ts';
import { runTinyJob, writeTinyJob } from '../support/tiny-job.ts';

const TEMPLATE =
  "{{ strftime_now('%d %B %Y') }}\n{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}";
const data = (more = '') =>
  `{ train: { uri: train.jsonl, template: Chat }, public: { uri: public.jsonl, template: Chat }, eval: { uri: eval.jsonl, template: Chat }${more} }`;

const folder = t.testdir();
const jobOf = (name: string, more = '') => {
  const directory = join(folder, name);
  const path = writeTinyJob(directory, { data: data(more) });
  writeFileSync(join(directory, 'model/chat_template.jinja'), TEMPLATE);
  return path;
};

const json = (path: string) => JSON.parse(readFileSync(path, 'utf8'));
const today = new Date().toISOString().slice(0, 10);
const asks = { chatTemplateReadsDate: true };
const noWarning = (message: string) => t.fail(message);

t.test('the day of the first start is kept: in manifest, checkpoints, job and report', async (t) => {
  const path = jobOf('a');
  const out = join(folder, 'a/out');
  const result = await runTinyJob(path, out);
  if (result.outcome !== 'succeeded') throw new Error(result.outcome);
  t.match(result.report.date, /^\d{4}-\d{2}-\d{2}$/);
  const { date = '' } = result.report;
  t.ok(date === today || date === new Date().toISOString().slice(0, 10), `today: ${date}`);
  t.equal(json(join(out, 'manifest.json')).date, date);
  t.equal(json(join(out, 'job.json')).spec.data.date, date);
  t.equal(json(join(out, 'checkpoints/round-0002/state.json')).date, date);
  t.equal(json(join(out, 'report.json')).date, date);
  t.match(readFileSync(join(out, 'report.html'), 'utf8'), `date ${date}`);

  const another = { out, resume: true, today: '2031-01-01', warn: noWarning };
  t.equal(
    (await resolveJobDate(readJob(path), asks, another)).spec.data.date,
    date,
    'the day of the run, and not today',
  );
  rmSync(join(out, 'manifest.json'));
  t.equal((await resolveJobDate(readJob(path), asks, another)).spec.data.date, date, 'checkpoints have it, too');
  t.equal(
    (await resolveJobDate(readJob(path), asks, { ...another, resume: false })).spec.data.date,
    '2031-01-01',
    'a new run has its own',
  );
});

t.test('the data has the date in the manifest, or else the date in the run’s own manifest', async (t) => {
  const given = jobOf('given', ', date: "2020-02-29"');
  const adapterOf = async (path: string, out: string, resume = false) => {
    const result = await runTinyJob(path, out, { resume });
    return result.outcome === 'succeeded' ? result.report.adapterSha256 : result.outcome;
  };
  const out = join(folder, 'given/out');
  const adapter = await adapterOf(given, out);
  t.equal(await adapterOf(join(out, 'job.json'), join(folder, 'given/again')), adapter);
  const other = jobOf('other', ', date: "2020-02-28"');
  t.not(await adapterOf(other, join(folder, 'other/out')), adapter, 'the day is part of the data');
  cpSync(out, join(folder, 'other/taken'), { recursive: true });
  writeFileSync(other, readFileSync(given, 'utf8').replace('2020-02-29', '2020-02-27'));
  await t.rejects(runTinyJob(other, join(folder, 'other/taken'), { resume: true }), {
    name: 'UserError',
    message: /computed from another (.*, )?date/,
  });
});

t.test('a run whose date was not stored is not resumed', async (t) => {
  const path = jobOf('old');
  const out = join(folder, 'old/out');
  const dateless = { chatTemplateReadsDate: false };
  await runTinyJob(path, out);
  // As written by a version that stored no date.
  for (const name of ['round-0001', 'round-0002']) {
    const folder = join(out, 'checkpoints', name);
    const { date: _, ...state } = json(join(folder, 'state.json'));
    writeFileSync(join(folder, 'state.json'), JSON.stringify(state));
    const { createHash } = await import('node:crypto');
    const sum = (file: string) =>
      `${createHash('sha256')
        .update(readFileSync(join(folder, file)))
        .digest('hex')}  ${file}\n`;
    writeFileSync(join(folder, 'SHA256SUMS'), sum('state.json') + sum('lora.safetensors'));
  }
  await t.rejects(runTinyJob(path, out, { resume: true }), { name: 'UserError', message: /did not store the date/ });
  t.equal(
    (await resolveJobDate(readJob(path), dateless, { out, resume: true, warn: noWarning })).spec.data.date,
    undefined,
    'where nothing asks, there is no day',
  );
  const told: string[] = [];
  await resolveJobDate(readJob(jobOf('vain', ', date: "2020-02-28"')), dateless, {
    out,
    resume: true,
    warn: (message) => told.push(message),
  });
  t.match(told, [/data\.date is not used/]);
});

t.test('an evaluation prints the date, and accepts one', async (t) => {
  const options: EvaluateOptions = {
    model: join(folder, 'a/model'),
    adapter: null,
    data: join(folder, 'a/eval.jsonl'),
    task: 'loss',
    format: 'Auto',
    template: 'Chat',
    limit: null,
    sequenceLength: null,
    date: '2020-02-29',
    batchSize: 4,
    maxNewTokens: 4,
    computeWeights: 'AsStored',
    threads: 1,
    force: false,
    verify: false,
    cache: null,
    provider: 'cpu',
    onProgress: () => {},
    onWarning: noWarning,
  };
  const leap = await evaluateModel(options);
  t.equal(leap.date, '2020-02-29');
  const now = await evaluateModel({ ...options, date: null });
  t.match(now.date, /^\d{4}-/);
  t.not(now.loss, leap.loss);
  const told: string[] = [];
  const plain = await evaluateModel({ ...options, template: 'Alpaca', onWarning: (message) => told.push(message) });
  t.notOk('date' in plain);
  t.match(told, [/--date is not used/]);
});
