import { formatBytes } from '../worker/report/format.ts';
import { describeMachine } from './machine.ts';
import type { machine } from './machine.ts';
import type { MemorySource } from './memory-group.ts';
import type { Measured } from './seven-billion-measure.ts';
import type { Rivalry } from './seven-billion-rival.ts';
import { median, table } from './statistics.ts';

export interface SevenBillionResults {
  readonly machine: ReturnType<typeof machine>;
  readonly settings: { readonly layers: number; readonly threads: number };
  readonly memorySource: MemorySource;
  readonly measured: Measured[];
  /** Null without a Python. */
  rivalry: Rivalry | null;
}

const NAMES: Readonly<Record<Measured['what'], string>> = {
  rounding: 'server (rounding of a layer)',
  server: 'server (alignment)',
  client: 'client',
  evaluation: 'evaluation in a run',
  run: '`fedbiot run`, all in one',
  eval: '`fedbiot eval`',
};

const nameOf = ({ what, weights, computeWeights }: Pick<Measured, 'what' | 'weights' | 'computeWeights'>) =>
  [
    NAMES[what],
    ...(weights === 'AsStored' ? [] : [`${weights} emulator`]),
    ...(computeWeights === 'AsStored' ? [] : [`${computeWeights} compute weights`]),
  ].join(', ');

const NOTHING = '–';

/** The tables of the LLaMA-2-7B shape in docs/benchmarks.md. */
export function sevenBillionTables({
  machine,
  settings,
  memorySource,
  measured,
  rivalry,
}: SevenBillionResults): string {
  const source =
    memorySource === '/proc'
      ? 'Without control groups (they need root): limits were not set, and pages of files are not counted.'
      : `Memory by ${memorySource}, with all processes inside.`;
  return [
    `${describeMachine(machine)} ${settings.layers} layers of LLaMA-2-7B's shape in float16, ${settings.threads} threads, batch 1, adapter = last ${settings.layers < 8 ? 'layer' : '2 layers'}, β = 0.5, κ = 0. ${source}\n`,
    measuredTable(measured),
    planTable(measured),
    ...(rivalry === null ? [] : [rivalryTable(rivalry)]),
  ].join('\n');
}

function measuredTable(measured: readonly Measured[]): string {
  const rows = measured.map(({ length, limit, memory, seconds, steps, clientPhase, ...which }) => [
    nameOf(which),
    String(length),
    limit === null ? NOTHING : formatBytes(limit),
    formatBytes(memory.anonymous),
    bytesOr(memory.cache),
    secondsOr(steps.alignment),
    secondsOr(steps.client),
    clientPhase === null ? NOTHING : clientPhase.toFixed(1),
    seconds.toFixed(0),
  ]);
  return table(
    [
      'processes',
      'tokens',
      'limit',
      'memory',
      'pages of files',
      'alignment step, s',
      'client step, s',
      'client phase per step, s',
      'start to end, s',
    ],
    rows,
  );
}

function planTable(measured: readonly Measured[]): string {
  const rows = measured.map(({ length, limit, peak, planned, ...which }) => {
    const own = planned.total - planned.filePages;
    return [
      limit === null || which.what === 'run' ? nameOf(which) : `${nameOf(which)}, limit ${formatBytes(limit)}`,
      String(length),
      formatBytes(own),
      formatBytes(peak.anonymous),
      (own / peak.anonymous).toFixed(2),
      formatBytes(planned.total),
      bytesOr(peak.total),
      peak.total === null ? NOTHING : (planned.total / peak.total).toFixed(2),
    ];
  });
  return table(
    ['plan', 'tokens', 'without files', 'measured', 'ratio', 'with pages of files', 'measured', 'ratio'],
    rows,
  );
}

function rivalryTable({ layers, length, ours, torch, versions }: Rivalry): string {
  const named = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const times = (seconds: number) => [seconds.toFixed(2), `${(seconds / ours.clientStep).toFixed(2)}×`];
  const rows = [
    ['client, ours', ...times(ours.clientStep), formatBytes(ours.anonymous)],
    ...torch.flatMap(({ dtype, clientSteps, plainLora }) => [
      [`the same steps in torch, ${dtype}`, ...times(median(clientSteps)), NOTHING],
      [
        `plain LoRA of the whole model in torch, ${dtype}`,
        ...times(median(plainLora.steps)),
        formatBytes(plainLora.peak),
      ],
    ]),
  ];
  return `Beside ${named.join(', ')}: ${layers} layers, ${length} tokens, batch 1.\n\n${table(['', 'step, s', '/ ours', 'memory'], rows)}`;
}

const bytesOr = (bytes: number | null) => (bytes === null ? NOTHING : formatBytes(bytes));
const secondsOr = (values: readonly number[]) => (values.length === 0 ? NOTHING : median(values).toFixed(1));
