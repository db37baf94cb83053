import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { dataSets, probes } from '../../examples/quickstart/data-sets.ts';
import { encodeRecords } from '../../examples/quickstart/encode.ts';
import { exactMatch } from '../../examples/quickstart/exact-match.ts';
import {
  accuracyProgram,
  initialParameters,
  parameterLayout,
  pretrainingProgram,
} from '../../examples/quickstart/pretraining-program.ts';
import { publicRecord } from '../../examples/quickstart/tasks.ts';
import type { TaskRecord } from '../../examples/quickstart/tasks.ts';
import { writeTokenizer } from '../../examples/quickstart/tokenizer.ts';
import { collate } from '../../worker/data/batch.ts';
import { loadData } from '../../worker/data/source.ts';
import { int32 } from '../../worker/engine/graph/tensor.ts';
import { Trainer } from '../../worker/engine/trainer.ts';
import { labelFeeds, placeFeeds, tokenIds } from '../../worker/model/batch-feeds.ts';
import { openModelDirectory } from '../../worker/model/directory.ts';
import { readTensor } from '../../worker/safetensors/safetensors.ts';
import { loadTokenizer } from '../../worker/tokenizer/tokenizer.ts';
import { randomStream } from '../../worker/random.ts';
import { testCompute } from '../support/test-compute.ts';

const EXAMPLE = join(import.meta.dirname, '../../examples/quickstart');
const MODEL = join(EXAMPLE, 'model');

const textOf = (records: readonly TaskRecord[]) =>
  records.flatMap(({ instruction, input, output }) => [instruction, input, output]);

t.test('the data files equal the generator’s output', async (t) => {
  for (const [name, records] of Object.entries(dataSets())) {
    const lines = readFileSync(join(EXAMPLE, 'data', `${name}.jsonl`), 'utf8')
      .trimEnd()
      .split('\n');
    t.same(
      lines.map((line): unknown => JSON.parse(line)),
      records,
      `${name}.jsonl`,
    );
    t.equal(
      (await loadData({ uri: `data/${name}.jsonl`, format: 'Auto' }, EXAMPLE)).format,
      'Alpaca',
      `${name}.jsonl is read as Alpaca records`,
    );
  }
});

t.test('the answers are correct', async (t) => {
  const words = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine'];
  const inDigits = (answer: string) =>
    answer
      .split(' ')
      .map((word) => words.indexOf(word))
      .join('');
  const expected: Record<string, (given: string[]) => string> = {
    add: ([a, b]) => String(Number(a) + Number(b)),
    subtract: ([a, b]) => String(Number(a) - Number(b)),
    larger: ([a, b]) => String(Math.max(Number(a), Number(b))),
    sort: ([digits]) => Array.from(digits!).sort().join(''),
    reverse: ([digits]) => Array.from(digits!).reverse().join(''),
  };
  const wrong = dataSets().train.filter(
    ({ category, input, output }) => inDigits(output) !== expected[category]!(input.split(' ')),
  );
  t.same(wrong, []);
});

t.test('held-out records are not among the training records', async (t) => {
  const { train, eval: held } = dataSets();
  const key = ({ instruction, input }: TaskRecord) => `${instruction} ${input}`;
  const trained = new Set(train.map(key));
  t.same(
    held.filter((record) => trained.has(key(record))),
    [],
  );
});

t.test('the tokenizer equals the generator’s output, and keeps the prompts short', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'fedbiot-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  writeTokenizer(directory, textOf(Object.values(probes()).flat()));
  for (const name of ['tokenizer.json', 'tokenizer_config.json']) {
    t.equal(readFileSync(join(MODEL, name), 'utf8'), readFileSync(join(directory, name), 'utf8'), name);
  }
  const tokenizer = await loadTokenizer(MODEL);
  const lengths = encodeRecords(Object.values(dataSets()).flat(), tokenizer).map(({ inputIds }) => inputIds.length);
  t.ok(Math.max(...lengths) < 32, `the longest record has ${Math.max(...lengths)} tokens`);
  const text = 'Any text — even 日本語 or\tthis — comes back: 1234.\n\n### Response:five';
  t.equal(tokenizer.decode(tokenizer.encode(text)), text);
});

t.test('the model solves the public problems, but not in the form of the clients’ answers', async (t) => {
  const bytes = readdirSync(MODEL).reduce((sum, name) => sum + statSync(join(MODEL, name)).size, 0);
  t.ok(bytes <= 12e6, `the directory has ${bytes} bytes`);
  const { config, weights } = await openModelDirectory(MODEL);
  const tokenizer = await loadTokenizer(MODEL);
  const layout = parameterLayout(config);
  const parameters = new Float32Array(layout.size);
  for (const { name, offset } of layout.slices)
    parameters.set(readTensor(weights.get(name)!.file, weights.get(name)!), offset);
  const compute = testCompute();
  t.teardown(() => compute.close());
  const scorer = await compute.load(accuracyProgram(config, layout));
  const { public: known, eval: unknown } = dataSets();
  for (const [category, percent] of await exactMatch(scorer, parameters, known, tokenizer))
    t.ok(percent >= 90, `public ${category}: ${percent.toFixed(0)} %`);
  for (const [category, percent] of await exactMatch(scorer, parameters, unknown, tokenizer))
    t.ok(percent <= 25, `private ${category}: ${percent.toFixed(0)} %`);
});

t.test('pretraining learns', async (t) => {
  const tokenizer = await loadTokenizer(MODEL);
  const { config: full } = await openModelDirectory(MODEL);
  const config = { ...full, layers: 2, hiddenSize: 32, intermediateSize: 64, heads: 2, keyValueHeads: 2, headDim: 16 };
  const layout = parameterLayout(config);
  const compute = testCompute();
  t.teardown(() => compute.close());
  const optimizer = {
    kind: 'AdamW',
    betas: [0.9, 0.98],
    epsilon: 1e-8,
    weightDecay: 0.01,
    momentum: 0,
    clipNorm: 1,
  } as const;
  const session = await compute.load(pretrainingProgram(config, layout));
  const trainer = await Trainer.create(compute, session, layout.size, optimizer, 'pretraining');
  await trainer.start(initialParameters(config, layout, randomStream(0, 'initial')));
  const losses: number[] = [];
  for (let step = 0; step < 60; step++) {
    const stream = randomStream(0, 'batch', step);
    const batch = collate(
      encodeRecords(
        Array.from({ length: 16 }, () => publicRecord(stream)),
        tokenizer,
      ),
      0,
    );
    losses.push(
      (await trainer.step([{ ids: int32(tokenIds(batch)), ...placeFeeds(batch), ...labelFeeds(batch) }], 1e-2)).loss,
    );
  }
  const chance = Math.log(config.vocabSize);
  t.ok(
    Math.abs(losses[0]! - chance) < 0.5,
    `begins at ${losses[0]!.toFixed(2)} nats, near chance (${chance.toFixed(2)})`,
  );
  const last = losses.slice(-10).reduce((a, b) => a + b, 0) / 10;
  t.ok(last < 2.2, `ends at ${last.toFixed(2)} nats: less than to guess digits (ln 10 = 2.30)`);
});
