/**
 * Compares the time that `fedbiot plan` estimates with the time that the same job then takes:
 *
 * npm run bench:time -- --model DIR --data DIR [--case quickstart smollm2 llama llamaInt4] [--threads 2] > table.md
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Command, Option } from 'commander';
import type { RoundReport } from '../crds/facts/round.ts';
import type { TimeEstimate } from '../crds/facts/plan.ts';
import { LLAMA_2_7B, writeLlama } from '../test/support/llama-shape.ts';
import { positiveInteger } from '../worker/commands/arguments.ts';
import { estimateManifest } from '../worker/run/estimate-job.ts';
import { run, stepsOf } from './fedbiot.ts';
import { readManifest, withFields, writeManifest } from './job.ts';
import type { Changes } from './job.ts';
import { describeMachine, machine } from './machine.ts';
import { mean, median, sum, table } from './statistics.ts';

const EXAMPLES = join(import.meta.dirname, '../examples');

interface Options {
  model: string;
  data: string;
  case: Case[];
  threads: number;
}

const CASES = ['quickstart', 'smollm2', 'llama', 'llamaInt4'] as const;
type Case = (typeof CASES)[number];

const NAMES: Readonly<Record<Case, string>> = {
  quickstart: 'quickstart, 3 rounds',
  smollm2: 'SmolLM2-135M, gsm8k.yaml with fewer steps',
  llama: 'LLaMA-2-7B cut to 4 layers, float16',
  llamaInt4: 'the same with an emulator in 4 bits',
};

/** Shorter than the example, with each kind of work in every round. */
const GSM8K: Changes = {
  'spec.emulator.layerSelection': 'Uniform',
  'spec.emulator.alignment.initialSteps': 10,
  'spec.emulator.alignment.stepsPerRound': 5,
  'spec.federation.rounds': 2,
  'spec.federation.local.steps': 5,
  'spec.evaluation.everyRounds': 1,
  'spec.evaluation.limit': 8,
  'spec.evaluation.maxNewTokens': 32,
};

/** Still shorter. Its texts are long, as the quickstart's tokenizer knows few words. */
const LLAMA: Changes = {
  ...GSM8K,
  'spec.emulator.alignment.initialSteps': 2,
  'spec.emulator.alignment.stepsPerRound': 1,
  'spec.emulator.alignment.batchSize': 1,
  'spec.adapter.layers': 1,
  'spec.federation.clients': 2,
  'spec.federation.local.steps': 2,
  'spec.federation.local.batchSize': 1,
  'spec.evaluation.limit': 2,
  'spec.evaluation.maxNewTokens': 8,
};

const CHANGES: Readonly<Record<Exclude<Case, 'quickstart'>, Changes>> = {
  smollm2: GSM8K,
  llama: LLAMA,
  llamaInt4: { ...LLAMA, 'spec.emulator.weights': 'Int4' },
};

/** Writes the job of a case into a folder. */
async function writeJob(name: Case, folder: string, { model, data }: Options): Promise<string> {
  mkdirSync(folder);
  const path = join(folder, 'job.yaml');
  if (name === 'quickstart') {
    writeManifest(path, withFields(readManifest(join(EXAMPLES, 'quickstart.yaml')), { 'spec.federation.rounds': 3 }));
    return path;
  }
  const own = name === 'smollm2' ? null : join(folder, 'model');
  if (own !== null) await writeLlama(own, { ...LLAMA_2_7B, layers: 4 });
  writeManifest(
    path,
    withFields(readManifest(join(EXAMPLES, 'gsm8k.yaml')), {
      ...CHANGES[name],
      'spec.model.uri': own ?? resolve(model),
      'spec.data.train.uri': resolve(data, 'gsm8k/train.jsonl'),
      'spec.data.public.uri': resolve(data, 'instructions/train.jsonl'),
      'spec.data.eval.uri': resolve(data, 'gsm8k/test.jsonl'),
    }),
  );
  return path;
}

/** Seconds from the first layer of a rounding to 4 bits, whose folder is made when it begins, to the last. */
function roundingOf(out: string): number | null {
  const cache = join(out, 'cache');
  const name = readdirSync(cache).find((each) => each.endsWith('-int4'));
  if (name === undefined) return null;
  const folder = join(cache, name);
  const written = readdirSync(folder).map((file) => statSync(join(folder, file)).mtimeMs);
  return (Math.max(...written) - statSync(folder).birthtimeMs) / 1000;
}

/** What a finished run took, in the form of the estimate. */
function measured(rounds: readonly RoundReport[], out: string): TimeEstimate {
  const seconds = rounds.map((round) => sum(Object.values(round.seconds)));
  const steps = stepsOf(out);
  const evaluations = rounds.filter(({ evaluation }) => evaluation).map((round) => round.seconds.evaluate);
  const local = steps.filter(({ phase }) => phase === 'local').length;
  return {
    rounding: roundingOf(out),
    alignmentStep: median(steps.filter(({ phase }) => phase === 'align').map(({ ms }) => ms / 1000)),
    clientStep: sum(rounds.map((round) => round.seconds.local)) / local,
    evaluation: mean(evaluations),
    firstRound: seconds[0]!,
    laterRound: mean(seconds.slice(1)),
    job: sum(seconds),
  };
}

const ROWS: readonly (readonly [keyof TimeEstimate, string])[] = [
  ['rounding', 'rounding to 4 bits'],
  ['alignmentStep', 'an alignment step'],
  ['clientStep', 'a client’s step'],
  ['evaluation', 'an evaluation'],
  ['firstRound', 'the first round'],
  ['laterRound', 'a later round'],
  ['job', 'all rounds'],
];

async function compare(name: Case, folder: string, options: Options): Promise<string> {
  const { threads } = options;
  const job = await writeJob(name, folder, options);
  const began = performance.now();
  const { time } = await estimateManifest(job, { threads });
  const estimating = (performance.now() - began) / 1000;
  if (time === undefined) throw new Error('the plan has no time');
  const out = join(folder, 'run');
  const { rounds } = await run({ job, out, threads });
  const took = measured(rounds, out);
  const rows = ROWS.flatMap(([field, label]) => {
    const [estimate, real] = [time[field], took[field]];
    if (estimate === null || real === null) return [];
    return [[label, estimate.toFixed(3), real.toFixed(3), `${(estimate / real).toFixed(2)}×`]];
  });
  const head = `${NAMES[name]} (estimated in ${estimating.toFixed(1)} s)`;
  return table([head, 'estimated, s', 'measured, s', 'estimated / measured'], rows);
}

const options = new Command('bench:time')
  .addOption(new Option('--model <dir>', 'SmolLM2-135M').env('FEDBIOT_TEST_MODEL').makeOptionMandatory())
  .addOption(
    new Option('--data <dir>', 'folder with gsm8k and instructions').env('FEDBIOT_TEST_DATA').makeOptionMandatory(),
  )
  .addOption(new Option('--case <names...>', 'jobs to compare').choices(CASES).default([...CASES]))
  .option('--threads <n>', 'threads to compute with', positiveInteger, availableParallelism())
  .parse()
  .opts<Options>();
const here = machine();
const folder = mkdtempSync(join(tmpdir(), 'fedbiot-time-'));
try {
  process.stdout.write(`${describeMachine(here)} ${options.threads} threads.\n`);
  for (const name of options.case) process.stdout.write(`\n${await compare(name, join(folder, name), options)}`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
