/**
 * Measures the effect of λ, κ, re-alignment and the choice of method, over seeds, on the quickstart's model.
 *
 *   npm run bench:effects -- [--job examples/quickstart.yaml] [--seeds 0 1 2] [--out runs/effects] > table.md
 *
 * Runs are kept in the --out folder. When started again, the program reads finished runs.
 */
import { join } from 'node:path';
import { Command } from 'commander';
import { positiveInteger } from '../worker/commands/arguments.ts';
import type { RunReport } from '../crds/facts/report.ts';
import { readJob } from '../worker/run/job-manifest.ts';
import { meanDrift } from './drift.ts';
import { readManifest, withFields } from './job.ts';
import type { Changes, Manifest } from './job.ts';
import { describeMachine, machine } from './machine.ts';
import { checkSameInputs, resultOf } from './results.ts';
import { meanAndDeviation, table } from './statistics.ts';

interface Options {
  job: string;
  seeds: number[];
  threads: number;
  out: string;
}

/** Removes the fields that a method's preset sets, so that the preset applies. */
const PRESET: Changes = {
  'spec.emulator.layerDropRate': undefined,
  'spec.emulator.alignment.schedule': undefined,
  'spec.emulator.alignment.languageModelWeight': undefined,
  'spec.adapter.placement': undefined,
  'spec.adapter.layers': undefined,
  'spec.federation.local.proximalWeight': undefined,
};
const LAMBDA = 'spec.federation.local.proximalWeight';
const KAPPA = 'spec.emulator.alignment.klWeight';
const SCHEDULE = 'spec.emulator.alignment.schedule';
const INITIAL = 'spec.emulator.alignment.initialSteps';

/**
 * The job's settings with the changes of each variant. `allSteps` is the number of alignment steps of all rounds
 * together.
 */
function variants(allSteps: number): Record<string, Changes> {
  const method = (name: string): Changes => ({ ...PRESET, 'spec.method': name });
  return {
    fedbiot: method('FedBiOT'),
    'lambda-0': { ...method('FedBiOT'), [LAMBDA]: 0 },
    'lambda-1': { ...method('FedBiOT'), [LAMBDA]: 1 },
    'kappa-1': { ...method('FedBiOT'), [KAPPA]: 1 },
    once: { ...method('FedBiOT'), [SCHEDULE]: 'Once' },
    'once-all-steps': { ...method('FedBiOT'), [SCHEDULE]: 'Once', [INITIAL]: allSteps },
    'kappa-1-once': { ...method('FedBiOT'), [KAPPA]: 1, [SCHEDULE]: 'Once' },
    'kappa-1-once-all-steps': { ...method('FedBiOT'), [KAPPA]: 1, [SCHEDULE]: 'Once', [INITIAL]: allSteps },
    never: { ...method('FedBiOT'), [SCHEDULE]: 'Never' },
    'offsite-tuning': method('OffsiteTuning'),
    fedot: method('FedOT'),
    'full-model': method('FullModel'),
  };
}

type Variant = keyof ReturnType<typeof variants>;

const NAMES: Readonly<Record<Variant, string>> = {
  fedbiot: 'FedBiOT: λ = 0.1, κ = 0, aligned before every round',
  'lambda-0': 'λ = 0',
  'lambda-1': 'λ = 1',
  'kappa-1': 'κ = 1',
  once: 'aligned once',
  'once-all-steps': 'aligned once, for as many steps as all rounds together',
  'kappa-1-once': 'κ = 1, aligned once',
  'kappa-1-once-all-steps': 'κ = 1, aligned once, for as many steps as all rounds together',
  never: 'never aligned',
  'offsite-tuning': 'Offsite-tuning',
  fedot: 'FedOT',
  'full-model': 'full model at the clients',
};

/** Measurements of one run. */
interface Outcome {
  readonly report: RunReport;
  readonly drift: number;
}

const final = ({ report }: Outcome) => report.final!;
/** The alignment gap: loss of emulator + adapter minus loss of full model + adapter, on held-out records. */
const gap = (outcome: Outcome) => final(outcome).adapEmu.loss - final(outcome).adapFu.loss;
const gained = (outcome: Outcome) => final(outcome).adapFu.accuracy ?? -final(outcome).adapFu.loss;

/** [statement, the variant with the lower value, the variant with the higher value, the value] */
const CLAIMS: readonly [string, Variant, Variant, (outcome: Outcome) => number][] = [
  ['λ = 0.1 keeps clients closer to the round’s start than λ = 0', 'fedbiot', 'lambda-0', ({ drift }) => drift],
  ['λ = 1 keeps clients closer to the round’s start than λ = 0.1', 'lambda-1', 'fedbiot', ({ drift }) => drift],
  ['κ = 1 lowers the gap', 'kappa-1', 'fedbiot', gap],
  ['alignment once lowers the gap', 'once', 'never', gap],
  ['re-alignment before every round lowers the gap further', 'fedbiot', 'once', gap],
  ['with κ = 1, re-alignment before every round lowers the gap further', 'kappa-1', 'kappa-1-once', gap],
  [
    'with κ = 1, re-alignment is better than as many steps before the first round',
    'kappa-1',
    'kappa-1-once-all-steps',
    gap,
  ],
  ['AdapFu of FedBiOT is above Offsite-tuning’s', 'offsite-tuning', 'fedbiot', gained],
  ['AdapFu of FedBiOT is above FedOT’s', 'fedot', 'fedbiot', gained],
  ['AdapFu is above AdapEmu (FedBiOT)', 'fedbiot', 'fedbiot', gap],
];

async function main({ job, seeds, threads, out }: Options): Promise<void> {
  const base = withFields(readManifest(job), { 'spec.evaluation.everyRounds': 0 });
  const { spec } = readJob(job);
  const { initialSteps, stepsPerRound } = spec.emulator.alignment;
  const scale = spec.adapter.lora.alpha / spec.adapter.lora.rank;
  const outcomes = new Map<Variant, Outcome[]>();
  for (const [variant, changes] of Object.entries(
    variants(initialSteps + (spec.federation.rounds - 1) * stepsPerRound),
  )) {
    const changed = withFields(base, changes);
    const ofSeeds: Outcome[] = [];
    for (const seed of seeds)
      ofSeeds.push(
        await outcomeOf(`${variant}-seed${seed}`, withFields(changed, { 'spec.seed': seed }), { threads, out, scale }),
      );
    outcomes.set(variant, ofSeeds);
  }
  checkSameInputs(
    out,
    [...outcomes.keys()].flatMap((variant) => seeds.map((seed) => `${variant}-seed${seed}`)),
  );
  process.stdout.write(`${describeMachine(machine())}\n\n${effectsTable(outcomes, seeds.length)}\n${claims(outcomes)}`);
}

async function outcomeOf(
  name: string,
  manifest: Manifest,
  { threads, out, scale }: { threads: number; out: string; scale: number },
): Promise<Outcome> {
  const report = await resultOf({ folder: out, threads, trace: true }, name, manifest);
  return { report, drift: meanDrift(join(out, `${name}.trace`), scale) };
}

function effectsTable(outcomes: ReadonlyMap<Variant, readonly Outcome[]>, seeds: number): string {
  const percent = (ofSeeds: readonly Outcome[], model: 'base' | 'adapEmu' | 'adapFu') => {
    const values = ofSeeds.map((outcome) => final(outcome)[model].accuracy);
    return values.some((value) => value === null) ? '–' : meanAndDeviation(values.map(Number), 1, 100);
  };
  const rows = [...outcomes].map(([variant, ofSeeds]) => [
    NAMES[variant]!,
    percent(ofSeeds, 'base'),
    percent(ofSeeds, 'adapEmu'),
    percent(ofSeeds, 'adapFu'),
    meanAndDeviation(
      ofSeeds.map((outcome) => final(outcome).adapEmu.loss),
      3,
    ),
    meanAndDeviation(
      ofSeeds.map((outcome) => final(outcome).adapFu.loss),
      3,
    ),
    meanAndDeviation(ofSeeds.map(gap), 3),
    meanAndDeviation(
      ofSeeds.map(({ drift }) => drift),
      2,
    ),
  ]);
  const header = [
    `${seeds} seeds: mean ± standard deviation`,
    'base, %',
    'AdapEmu, %',
    'AdapFu, %',
    'AdapEmu loss',
    'AdapFu loss',
    'gap',
    'drift',
  ];
  return `${table(header, rows)}\nGap: AdapEmu’s loss − AdapFu’s. Drift: Σ‖W − W(t)‖² of a client in a round, on average.\n`;
}

function claims(outcomes: ReadonlyMap<Variant, readonly Outcome[]>): string {
  const lines = CLAIMS.map(([statement, less, more, of]) => {
    const holds = outcomes
      .get(less)!
      .filter((outcome, i) => (less === more ? of(outcome) > 0 : of(outcome) < of(outcomes.get(more)![i]!)));
    return [statement, `${holds.length} of ${outcomes.get(less)!.length}`];
  });
  return table(['statement', 'seeds it holds for'], lines);
}

const seedsOf = (seed: string, seeds: number[] | undefined) => [...(seeds ?? []), Number(seed)];

const options = new Command('bench:effects')
  .option('--job <file>', 'manifest from which the variants are made', 'examples/quickstart.yaml')
  .option('--seeds <numbers...>', 'seeds', seedsOf)
  .option('--threads <n>', 'threads to compute with', positiveInteger, 2)
  .option('--out <dir>', 'folder for the runs', 'runs/effects')
  .parse()
  .opts<Omit<Options, 'seeds'> & { seeds?: number[] }>();
await main({ ...options, seeds: options.seeds ?? [0, 1, 2] });
