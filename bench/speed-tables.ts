import { formatCount } from '../worker/report/format.ts';
import { describeMachine } from './machine.ts';
import type { machine } from './machine.ts';
import { memoryTable, roundTable } from './memory-tables.ts';
import type { RoundMemory } from './memory-tables.ts';
import type { MemoryMeasurement } from './role-memory.ts';
import { median, sum, table } from './statistics.ts';

/** One phase of a round, for both sides. */
export interface PhaseMeasurement {
  /** Seconds. */
  readonly ours: number;
  readonly torch: number;
  /** Torch in bfloat16; null if the processor gains nothing from it. */
  readonly bfloat16: number | null;
  /** Seconds of each step. */
  readonly steps: {
    readonly ours: readonly number[];
    readonly torch: readonly number[];
    readonly bfloat16: readonly number[] | null;
  };
  readonly tokens: number;
  /** FLOPs of our steps, and of our whole phase, which also computes the steps' inputs. */
  readonly flops: { readonly steps: number; readonly phase: number };
}

export interface Measurement {
  readonly align: PhaseMeasurement;
  readonly local: PhaseMeasurement;
  readonly aggregate: number;
  readonly memory: RoundMemory;
  /** Largest |ours − torch| / |torch| of any step's loss, torch in float32. */
  readonly lossError: number;
}

export interface SpeedResults {
  readonly machine: ReturnType<typeof machine>;
  readonly settings: {
    readonly threads: number;
    readonly weights: string;
    readonly batch: readonly number[];
    readonly repeats: number;
    readonly alignSteps: number;
    readonly localSteps: number;
    readonly clients: number;
    readonly sequenceLength: number;
  };
  torch: Readonly<Record<string, string>>;
  readonly peaks: { product: string; gigaflops: number }[];
  readonly measurements: (Measurement & {
    readonly kind: 'round' | 'steady';
    readonly klWeight: number;
    readonly batchSize: number;
    readonly repeat: number;
  })[];
  readonly memory: MemoryMeasurement[];
}

/** The tables of speed and memory in docs/benchmarks.md. */
export function speedTables({ machine, settings, torch, peaks, measurements, memory }: SpeedResults): string {
  const { threads, weights, repeats, alignSteps, localSteps, clients, sequenceLength, batch } = settings;
  const worst = Math.max(...measurements.map(({ lossError }) => lossError));
  const versions = Object.entries(torch)
    .map(([name, version]) => `${name} ${version}`)
    .join(', ');
  return [
    `${describeMachine(machine)} ${versions}. ${threads} threads, sequences of at most ${sequenceLength} tokens, adapter = last 4 layers, β = 0.5,`,
    `LoRA r = 8 on all projections, AdamW at 5e-4, λ = 0; our emulator and teacher part ${weights === 'AsStored' ? 'as stored' : `in ${weights}`}; a round has ${alignSteps} alignment steps and ${clients} clients × ${localSteps} steps. Each figure is the median (least) of ${repeats};`,
    `the ratio is of medians. Both sides compute the same steps. Losses differ by ${worst.toExponential(1)} at most, relatively.\n`,
    ...batch.map(
      (batchSize) =>
        `### Batch ${batchSize}\n\n${phaseTable(measurements.filter((one) => one.batchSize === batchSize))}`,
    ),
    '### Steps\n',
    stepTable(measurements),
    `GFLOP/s count what the method needs (worker/estimate/flops.ts). Matrix products through the engine: ${peaks.map(({ product, gigaflops }) => `${product} ${formatCount(gigaflops)}`).join(', ')} GFLOP/s.\n`,
    '### Peak resident memory\n',
    memoryTable(memory),
    roundTable(measurements),
  ].join('\n');
}

type Row = SpeedResults['measurements'][number];

/** Seconds, tokens and operations of a part of a run. */
interface Part {
  readonly ours: number;
  readonly torch: number;
  readonly bfloat16: number | null;
  readonly tokens: number;
  readonly flops: number;
}

const phase = ({ ours, torch, bfloat16, tokens, flops }: PhaseMeasurement): Part => ({
  ours,
  torch,
  bfloat16,
  tokens,
  flops: flops.phase,
});

function whole({ align, local, aggregate }: Measurement): Part {
  const parts = [phase(align), phase(local)];
  const total = (field: Exclude<keyof Part, 'bfloat16'>) => sum(parts.map((part) => part[field]));
  const half = measured(parts.map(({ bfloat16 }) => bfloat16));
  return {
    ours: total('ours') + aggregate,
    torch: total('torch'),
    bfloat16: half && sum(half),
    tokens: total('tokens'),
    flops: total('flops'),
  };
}

/** The values, or null if they were not measured. */
function measured(values: readonly (number | null)[]): number[] | null {
  const known = values.filter((value) => value !== null);
  return known.length === values.length ? known : null;
}

function phaseTable(rows: readonly Row[]): string {
  const of = (kind: Row['kind'], klWeight: number, part: (row: Row) => Part) =>
    rows.filter((row) => row.kind === kind && row.klWeight === klWeight).map(part);
  const lines: [string, Part[]][] = [
    ['whole round, κ = 0', of('round', 0, whole)],
    ['whole round, κ = 1', of('round', 1, whole)],
    ['alignment, κ = 0, cold', of('round', 0, ({ align }) => phase(align))],
    ['alignment, κ = 0, steady', of('steady', 0, ({ align }) => phase(align))],
    ['alignment, κ = 1, cold', of('round', 1, ({ align }) => phase(align))],
    ['alignment, κ = 1, steady', of('steady', 1, ({ align }) => phase(align))],
    ['client phase', [0, 1].flatMap((klWeight) => of('round', klWeight, ({ local }) => phase(local)))],
  ];
  const hasHalf = measured(lines.flatMap(([, parts]) => parts.map(({ bfloat16 }) => bfloat16))) !== null;
  const header = [
    'phase',
    'ours, s',
    'torch, s',
    'torch / ours',
    ...(hasHalf ? ['torch in bfloat16, s', 'bfloat16 / ours'] : []),
    'tokens/s, ours',
    'tokens/s, torch',
    'GFLOP/s, ours',
  ];
  const text = lines.map(([name, parts]) => {
    const ours = median(parts.map((part) => part.ours));
    const torch = median(parts.map((part) => part.torch));
    const half = measured(parts.map(({ bfloat16 }) => bfloat16));
    const { tokens, flops } = parts[0]!;
    return [
      name,
      seconds(parts.map((part) => part.ours)),
      seconds(parts.map((part) => part.torch)),
      `${(torch / ours).toFixed(2)}×`,
      ...(half ? [seconds(half), `${(median(half) / ours).toFixed(2)}×`] : []),
      formatCount(tokens / ours),
      formatCount(tokens / torch),
      formatCount(flops / ours / 1e9),
    ];
  });
  return (
    table(header, text) +
    '\nIn a *cold* phase the teacher’s states of every sequence are computed, as in a single round. In a *steady* phase they are stored, as in ' +
    'every later visit of a public sequence. Torch computes them at each visit. The client phase includes the emulator’s forward pass. ' +
    'Both sides compute their longest batch once before the clock starts.\n'
  );
}

function seconds(values: readonly number[]): string {
  return `${median(values).toFixed(2)} (${Math.min(...values).toFixed(2)})`;
}

function stepTable(rows: readonly Row[]): string {
  const batches = [...new Set(rows.map(({ batchSize }) => batchSize))];
  const line = (name: string, phases: readonly PhaseMeasurement[]) => {
    const ours = phases.flatMap(({ steps }) => steps.ours);
    const torch = phases.flatMap(({ steps }) => steps.torch);
    const half = phases.flatMap(({ steps }) => steps.bfloat16 ?? []);
    const rate = sum(phases.map(({ flops }) => flops.steps)) / sum(ours) / 1e9;
    const milliseconds = (values: readonly number[]) =>
      `${(1000 * median(values)).toFixed(0)} (${(1000 * Math.min(...values)).toFixed(0)})`;
    return [
      name,
      milliseconds(ours),
      milliseconds(torch),
      `${(median(torch) / median(ours)).toFixed(2)}×`,
      ...(half.length > 0 ? [milliseconds(half), `${(median(half) / median(ours)).toFixed(2)}×`] : []),
      formatCount(rate),
    ];
  };
  const lines = batches.flatMap((batchSize) => {
    const of = (kind: Row['kind'], klWeights: readonly number[]) =>
      rows.filter((row) => row.batchSize === batchSize && row.kind === kind && klWeights.includes(row.klWeight));
    return [
      line(
        `alignment, κ = 0, batch ${batchSize}`,
        of('steady', [0]).map(({ align }) => align),
      ),
      line(
        `alignment, κ = 1, batch ${batchSize}`,
        of('steady', [1]).map(({ align }) => align),
      ),
      line(
        `client, batch ${batchSize}`,
        of('round', [0, 1]).map(({ local }) => local),
      ),
    ];
  });
  const hasHalf = rows.some(({ local }) => local.bfloat16 !== null);
  const halfColumns = hasHalf ? ['torch in bfloat16, ms', 'bfloat16 / ours'] : [];
  const header = ['step', 'ours, ms', 'torch, ms', 'torch / ours', ...halfColumns, 'GFLOP/s, ours'];
  return `${table(header, lines)}\nThe engine's steps are given the teacher’s or the emulator’s states; torch computes them in the step.\n`;
}
