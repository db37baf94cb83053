// Problems of a job, its model, its data or its folder are reported early and clearly, and nothing is lost.
import { appendFileSync, existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { UserError } from '../../crds/facts/user-error.ts';
import { runTinyJob, writeTinyJob } from '../support/tiny-job.ts';

type Folder = string;

interface Case {
  readonly what: string;
  readonly sections?: Readonly<Record<string, string>>;
  readonly change?: (folder: Folder) => void;
  readonly message: RegExp;
  readonly hint?: RegExp;
  /** Whether training has begun, so that a folder exists. */
  readonly late?: true;
}

const federation = (more: string) => ({ federation: `{ rounds: 2, clients: 2, ${more} }` });
const data = (more: string) => ({
  data: `{ train: { uri: train.jsonl }, public: { uri: public.jsonl }, eval: { uri: eval.jsonl }, ${more} }`,
});

const cases: Case[] = [
  {
    what: 'a misspelt field',
    sections: federation('local: { stepz: 2 }'),
    message: /spec\.federation\.local.*stepz[\s\S]*steps/,
  },
  { what: 'a rate of 1', sections: federation('dropoutRate: 1'), message: /dropoutRate/ },
  {
    what: 'an emulator of one layer',
    sections: { emulator: '{ layerDropRate: 0.9 }' },
    message: /emulator is left with .* needs at least 2/,
  },
  {
    what: 'more adapter layers than the model has',
    sections: { adapter: '{ layers: 40 }' },
    message: /40 adapter layers do not fit: the model has/,
  },
  {
    what: 'fewer records than clients',
    sections: { federation: '{ clients: 30 }' },
    message: /20 training records cannot be distributed to 30 clients/,
  },
  {
    what: 'a field to split by that records lack',
    sections: data('partition: { kind: Meta, field: topic }'),
    message: /train\.jsonl:1: the field 'topic'/,
  },
  {
    what: 'responses cut away',
    sections: federation('local: { steps: 2, sequenceLength: 8 }'),
    message: /none of the \d+ records has part of a response within 8 tokens/,
  },
  {
    what: 'a model that is not there',
    sections: { model: '{ uri: elsewhere }' },
    message: /elsewhere is not a directory/,
  },
  {
    what: 'an unsupported architecture',
    change: (folder) => replaceIn(join(folder, 'model/config.json'), /"model_type": ?"llama"/, '"model_type": "gpt2"'),
    message: /gpt2/,
  },
  {
    what: 'truncated weights',
    change: (folder) => truncateSync(join(folder, 'model/model.safetensors'), 2000),
    message: /model\.safetensors/,
  },
  {
    what: 'a weight that is not a number',
    change: (folder) => {
      const path = join(folder, 'model/model.safetensors');
      const bytes = readFileSync(path);
      bytes.fill(0xff, bytes.length - 64);
      writeFileSync(path, bytes);
    },
    message: /model\.safetensors.*(NaN|not finite|not a finite)/i,
  },
  {
    what: 'an empty data set',
    change: (folder) => writeFileSync(join(folder, 'train.jsonl'), ''),
    message: /train\.jsonl/,
  },
  {
    what: 'a record without a field',
    change: (folder) => appendFileSync(join(folder, 'train.jsonl'), '{"question": "What?"}\n'),
    message: /train\.jsonl:21: .*answers/,
  },
  {
    what: 'data that is not there',
    sections: { data: '{ train: { uri: nothing.jsonl }, public: { uri: public.jsonl } }' },
    message: /nothing\.jsonl is missing/,
  },
  {
    what: 'a learning rate that makes the loss not finite',
    sections: federation(
      'local: { steps: 4, sequenceLength: 192, optimizer: { kind: SGD, learningRate: 1000, clipNorm: 0 } }',
    ),
    message: /round 1, client \d: step \d: the (loss|gradient's norm) is (NaN|Infinity) \(sequences /,
    late: true,
  },
  {
    what: 'an alignment in float16 whose LoRA overflows',
    sections: {
      model: '{ uri: model, dtype: float16 }',
      emulator:
        '{ layerDropRate: 0.5, alignment: { initialSteps: 12, sequenceLength: 192, optimizer: { kind: SGD, learningRate: 1000, clipNorm: 0 } } }',
    },
    message: /^alignment before round 1, step \d: the (loss|gradient's norm) is (NaN|Infinity) \(sequences /,
    hint: /learning rate is too high: .*held in float16.* set model\.dtype to auto or bfloat16/,
    late: true,
  },
  {
    what: 'weights too large for float16',
    sections: { model: '{ uri: model, dtype: float16 }' },
    change: (folder) => {
      const path = join(folder, 'model/model.safetensors');
      const bytes = readFileSync(path);
      bytes.writeFloatLE(1e6, bytes.length - 64);
      writeFileSync(path, bytes);
    },
    message: /^weight \S+ in .*model\.safetensors holds 1000000, too large for F16$/,
    hint: /Set model\.dtype to bfloat16/,
  },
  {
    what: 'a quorum that no round reaches',
    sections: federation('dropoutRate: 0.99, quorum: 2, maxRoundRetries: 1'),
    message: /round 1 failed: \d of 2 selected clients reported in the last of 2 attempts, but the quorum is 2/,
    late: true,
  },
];

for (const { what, sections = {}, change, message, hint, late } of cases) {
  t.test(what, async (t) => {
    const folder = t.testdir();
    const job = writeTinyJob(folder, sections);
    change?.(folder);
    const out = join(folder, 'out');
    const error = await runTinyJob(job, out).then(
      () => t.fail('the job ran'),
      (error: unknown) => error,
    );
    t.ok(error instanceof UserError, String(error));
    if (error instanceof UserError) t.match(error, { message, ...(hint && { hint }) });
    t.equal(
      existsSync(join(out, 'metrics.jsonl')),
      late === true,
      late ? 'the run left its folder' : 'nothing was begun',
    );
    if (late) t.ok(existsSync(join(out, 'checkpoints')), 'what was reached is kept');
  });
}

t.test('a run folder belongs to one job and one process', async (t) => {
  const folder = t.testdir();
  const job = writeTinyJob(folder);
  const out = join(folder, 'out');
  // The folder is locked before the first event. The later run finds the lock or, if it is slow, the other's
  // checkpoints.
  const ends = await Promise.allSettled([runTinyJob(job, out), runTinyJob(job, out)]);
  const refused = ends.filter((end) => end.status === 'rejected');
  t.equal(refused.length, 1, 'two runs on one folder');
  t.match(refused[0]?.reason, { name: 'UserError' });
  await t.rejects(runTinyJob(job, out), { name: 'UserError', message: /holds checkpoints of this job/ });
  replaceIn(job, /rounds: 2/, 'rounds: 3');
  await t.rejects(runTinyJob(job, out), { name: 'UserError', message: /computed from another spec/ });
});

function replaceIn(path: string, what: RegExp, by: string): void {
  const text = readFileSync(path, 'utf8');
  const replaced = text.replace(what, by);
  if (replaced === text) throw new Error(`${path} has no ${String(what)}`);
  writeFileSync(path, replaced);
}

t.test('skipped records are reported, and named as a cause where the others cannot be distributed', async (t) => {
  const folder = t.testdir();
  for (const partition of ['{ kind: Meta, field: category }', '{ kind: Dirichlet, alpha: 0.01, field: category }']) {
    const job = writeTinyJob(folder, {
      ...data(`partition: ${partition}`),
      federation: '{ rounds: 1, clients: 8, local: { steps: 1, sequenceLength: 128 } }',
    });
    const record = (category: string, question: string) =>
      `${JSON.stringify({ question, answers: ['so'], category })}\n`;
    const records = Array.from(
      { length: 10 },
      (_, i) => record('short', `How ${i}?`) + record(`long ${i}`, 'word '.repeat(200)),
    );
    writeFileSync(join(folder, 'train.jsonl'), records.join(''));
    const told: string[] = [];
    const out = join(folder, 'out');
    const error: unknown = await runTinyJob(job, out, {
      onEvent: (event) => void (event.event === 'warning' && told.push(event.message)),
    }).catch((error: unknown) => error);
    t.match(error, {
      name: 'UserError',
      message:
        /partition leaves clients? .* without records, after 10 of 20 records were left out: nothing of their response fits into 128 tokens/,
      hint: /^Raise federation\.local\.sequenceLength/,
    });
    t.match(told, [/data\.train: 10 of 20 records are left out/]);
  }
});
