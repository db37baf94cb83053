/**
 * Measures what training gains on real data, over seeds: the model alone, emulator + adapter (AdapEmu) and full model +
 * adapter (AdapFu).
 *
 *   npm run bench:quality -- --model DIR --data DIR [--seeds 0 1 2] [--job FILE...] [--weights AsStored Int8]
 *     [--out runs/quality] > table.md
 *
 * With --weights, each job runs with its emulator's weights in each of these formats.
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
import { formatBytes } from '../worker/report/format.ts';
import { fieldOf, readManifest, withFields } from './job.ts';
import type { Manifest } from './job.ts';
import { describeMachine, machine } from './machine.ts';
import { checkSameInputs, resultOf } from './results.ts';
import { meanAndDeviation, median, sum, table } from './statistics.ts';

const inRepository = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const JOBS = ['gsm8k', 'webquestions'].map((name) => inRepository(`bench/quality/${name}.yaml`));

interface Options {
  model: string;
  data: string;
  seeds: number[];
  job: string[];
  /** Formats of the emulator's weights; undefined: that of the manifests. */
  weights?: string[];
  threads: number;
  out: string;
}

async function main({ model, data, seeds, job: jobs, weights, threads, out }: Options): Promise<void> {
  const text = [describeMachine(machine())];
  for (const path of jobs) {
    const manifest = located(readManifest(path), resolve(model), resolve(data));
    const results: JobResults[] = [];
    for (const format of weights ?? ['']) {
      const changes = format ? { 'spec.emulator.weights': format } : {};
      const reports = new Map<string, RunReport>();
      for (const seed of seeds) {
        const name = [basename(path, '.yaml'), ...(format ? [format] : []), `seed${seed}`].join('-');
        const variant = withFields(manifest, { 'spec.seed': seed, ...changes });
        reports.set(name, await resultOf({ folder: out, threads, trace: false }, name, variant));
      }
      checkSameInputs(out, [...reports.keys()]);
      results.push({ format, reports: [...reports.values()] });
    }
    text.push(`### ${basename(path, '.yaml')}`, qualityTable(results), costTable(results));
  }
  process.stdout.write(text.join('\n\n'));
}

/** The runs of a job over seeds. */
interface JobResults {
  /** Of the emulator's weights; empty: that of the manifest. */
  readonly format: string;
  readonly reports: readonly RunReport[];
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

function qualityTable(results: readonly JobResults[]): string {
  const first = results[0]!.reports;
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
  const at = (reports: readonly RunReport[], round: number, model: keyof Evaluation) =>
    reports.map(({ rounds }) => rounds[round - 1]!.evaluation![model]);
  const rounds = first[0]!.rounds.filter(({ evaluation }) => evaluation).map(({ round }) => round);
  const rows = [
    row('the model alone', at(first, rounds[0]!, 'base')),
    ...results.flatMap(({ format, reports }) =>
      rounds.flatMap((round) => [
        row(`AdapEmu after round ${round}${named(format)}`, at(reports, round, 'adapEmu')),
        row(`AdapFu after round ${round}${named(format)}`, at(reports, round, 'adapFu')),
      ]),
    ),
  ];
  return table([`${first.length} seeds: mean ± standard deviation`, 'held-out loss', 'accuracy, %'], rows);
}

const named = (format: string) => (format ? `, ${format}` : '');

/** What clients fetch, and times of this machine. */
function costTable(results: readonly JobResults[]): string {
  const rows = results.map(({ format, reports }) => {
    const seconds = reports.map(({ rounds }) => rounds.map((round) => round.seconds));
    const clients = median(seconds.flat().map(({ local }) => local));
    const minutes = seconds.map((phases) => sum(phases.flatMap((phase) => Object.values(phase))) / 60);
    const bundle = formatBytes(reports[0]!.plan.bytes.emulatorBundle);
    return [format || 'as in the job', bundle, clients.toFixed(2), meanAndDeviation(minutes, 1)];
  });
  return table(['emulator’s weights', 'emulator', 'client phase of a round, s, median', 'run, minutes'], rows);
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
  .option('--weights <formats...>', 'formats of the emulator’s weights (default: that of the manifests)')
  .option('--threads <n>', 'threads to compute with', positiveInteger, 2)
  .option('--out <dir>', 'folder for the runs', 'runs/quality')
  .parse()
  .opts<Omit<Options, 'seeds' | 'job'> & { seeds?: number[]; job?: string[] }>();
await main({ ...options, seeds: options.seeds ?? [0, 1, 2], job: options.job ?? JOBS });
