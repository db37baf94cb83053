/**
 * Measures what training gains on real data, over seeds: the model alone, emulator + adapter (AdapEmu) and full model +
 * adapter (AdapFu).
 *
 *   npm run bench:quality -- --model DIR --data DIR [--seeds 0 1 2] [--job FILE...] [--out runs/quality] > table.md
 *
 * Runs are kept in the --out folder. When started again, the program reads finished runs and resumes an unfinished one.
 */
import { existsSync } from 'node:fs';
import { basename, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, Option } from 'commander';
import { positiveInteger } from '../worker/commands/arguments.ts';
import type { Evaluation } from '../crds/facts/evaluation.ts';
import type { RunReport } from '../crds/facts/report.ts';
import { fieldOf, readManifest, withFields } from './job.ts';
import type { Manifest } from './job.ts';
import { describeMachine, machine } from './machine.ts';
import { checkSameInputs, resultOf } from './results.ts';
import { meanAndDeviation, sum, table } from './statistics.ts';

const inRepository = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const JOBS = ['gsm8k', 'webquestions'].map((name) => inRepository(`bench/quality/${name}.yaml`));

interface Options {
  model: string;
  data: string;
  seeds: number[];
  job: string[];
  threads: number;
  out: string;
}

async function main({ model, data, seeds, job: jobs, threads, out }: Options): Promise<void> {
  const text = [describeMachine(machine())];
  for (const path of jobs) {
    const manifest = located(readManifest(path), resolve(model), resolve(data));
    const reports = new Map<string, RunReport>();
    for (const seed of seeds) {
      const name = `${basename(path, '.yaml')}-seed${seed}`;
      reports.set(
        name,
        await resultOf({ folder: out, threads, trace: false }, name, withFields(manifest, { 'spec.seed': seed })),
      );
    }
    checkSameInputs(out, [...reports.keys()]);
    text.push(`### ${basename(path, '.yaml')}`, qualityTable([...reports.values()]));
  }
  process.stdout.write(text.join('\n\n'));
}

/** Sets the paths of model and data, unless the manifest's own model exists. */
function located(manifest: Manifest, model: string, data: string): Manifest {
  if (existsSync(String(fieldOf(manifest, 'spec.model.uri')))) return manifest;
  const uris = ['train', 'public', 'eval'].map((role) => `spec.data.${role}.uri`);
  const moved = uris.map((field) => [
    field,
    join(data, relative(inRepository('data'), String(fieldOf(manifest, field)))),
  ]);
  return withFields(manifest, { 'spec.model.uri': model, ...Object.fromEntries(moved) });
}

function qualityTable(reports: readonly RunReport[]): string {
  const rounds = reports[0]!.rounds.filter(({ evaluation }) => evaluation).map(({ round }) => round);
  const row = (name: string, scores: readonly Evaluation[keyof Evaluation][]) => [
    name,
    meanAndDeviation(
      scores.map(({ loss }) => loss),
      3,
    ),
    scores.some(({ accuracy }) => accuracy === null)
      ? '–'
      : meanAndDeviation(
          scores.map(({ accuracy }) => accuracy!),
          1,
          100,
        ),
  ];
  const at = (round: number, model: keyof Evaluation) =>
    reports.map(({ rounds }) => rounds[round - 1]!.evaluation![model]);
  const rows = [
    row('the model alone', at(rounds[0]!, 'base')),
    ...rounds.flatMap((round) => [
      row(`AdapEmu after round ${round}`, at(round, 'adapEmu')),
      row(`AdapFu after round ${round}`, at(round, 'adapFu')),
    ]),
  ];
  const minutes = reports.map(({ rounds }) => sum(rounds.flatMap(({ seconds }) => Object.values(seconds))) / 60);
  return `${table([`${reports.length} seeds: mean ± standard deviation`, 'held-out loss', 'accuracy, %'], rows)}\n${meanAndDeviation(minutes, 1)} minutes per run.\n`;
}

const seedsOf = (seed: string, seeds: number[] | undefined) => [...(seeds ?? []), Number(seed)];

const options = new Command('bench:quality')
  .addOption(new Option('--model <dir>', 'Hugging Face directory').env('FEDBIOT_TEST_MODEL').makeOptionMandatory())
  .addOption(
    new Option('--data <dir>', 'folder with gsm8k/, webquestions/ and instructions/')
      .env('FEDBIOT_TEST_DATA')
      .makeOptionMandatory(),
  )
  .option('--seeds <numbers...>', 'seeds', seedsOf)
  .option('--job <files...>', 'manifests (default: those of bench/quality)')
  .option('--threads <n>', 'threads to compute with', positiveInteger, 2)
  .option('--out <dir>', 'folder for the runs', 'runs/quality')
  .parse()
  .opts<Omit<Options, 'seeds' | 'job'> & { seeds?: number[]; job?: string[] }>();
await main({ ...options, seeds: options.seeds ?? [0, 1, 2], job: options.job ?? JOBS });
