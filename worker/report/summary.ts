import type { GpuMemory, PlanEstimate, TimeEstimate } from '../../crds/facts/plan.ts';
import type { RunReport } from '../../crds/facts/report.ts';
import type { Score } from '../../crds/facts/score.ts';
import { savingRows, usageRows } from './cost-tables.ts';
import { printable } from '../../crds/facts/printable.ts';
import { formatBytes, formatCount, formatDuration, formatIndices, formatLoss, formatPercent } from './format.ts';

/** The text that a finished run prints: scores, cost, and the location of the report. */
export function summaryText(report: RunReport, folder: string): string {
  const seconds = report.rounds.reduce(
    (sum, round) => sum + Object.values(round.seconds).reduce((a, b) => a + b, 0),
    0,
  );
  const scores: string[][] = [];
  if (report.final !== null) {
    const { base, adapEmu, adapFu } = report.final;
    const hasF1 = adapFu.f1 !== undefined;
    const row = (name: string, { accuracy, f1, loss }: Score) => [
      name,
      formatPercent(accuracy),
      ...(hasF1 ? [formatPercent(f1 ?? null)] : []),
      formatLoss(loss),
    ];
    scores.push(
      ['', 'accuracy', ...(hasF1 ? ['F1'] : []), 'loss'],
      row('base', base),
      row('AdapEmu', adapEmu),
      row('AdapFu', adapFu),
    );
  }
  return [
    ...table(scores, 'right'),
    ...(report.cost === null
      ? []
      : [...table(usageRows(report.cost), 'right'), ...table(savingRows(report.cost), 'right')]),
    `${formatCount(report.rounds.length)} rounds in ${formatDuration(seconds)}; adapter SHA-256 ${report.adapterSha256 ?? 'not written yet'}`,
    `report: ${printable(folder)}/report.html`,
    '',
  ].join('\n');
}

/** The text that `fedbiot plan` prints. */
export function planText({ layers, parameters, bytes, memory, gpuMemory, time, advice, disk }: PlanEstimate): string {
  const kept =
    'kept' in layers
      ? [
          [
            '  emulator keeps',
            `${formatCount(layers.kept)}, by importance, which the run measures on public data when it starts`,
          ],
        ]
      : [
          ['  emulator keeps', formatIndices(layers.emulator)],
          ['  dropped', formatIndices(layers.dropped)],
        ];
  const ofRun = disk.convertedWeights + disk.roundingStates + disk.checkpoints + disk.hiddenStateCache;
  const rows = [
    ['layers', `${layers.total}`],
    ['  adapter', formatIndices(layers.adapter)],
    ...kept,
    ['parameters', ''],
    ['  full model', formatCount(parameters.full)],
    ['  emulator', formatCount(parameters.emulator)],
    ['  adapter LoRA', formatCount(parameters.adapterLora)],
    ['  emulator LoRA', formatCount(parameters.emulatorLora)],
    ['bytes', ''],
    ['  full model', formatBytes(bytes.fullModel)],
    ['  emulator, once per client', formatBytes(bytes.emulatorBundle)],
    ['  per round, down', formatBytes(bytes.roundDown)],
    ['  per round, up', formatBytes(bytes.roundUp)],
    ['  hidden-state cache', formatBytes(bytes.hiddenStateCache)],
    ['disk, at most', ''],
    ...(disk.convertedWeights > 0 ? [['  converted weights', formatBytes(disk.convertedWeights)]] : []),
    ...(disk.roundingStates > 0 ? [['  states while rounding to 4 bits', formatBytes(disk.roundingStates)]] : []),
    ['  checkpoints and results', formatBytes(disk.checkpoints)],
    ['  fedbiot run, in total', formatBytes(ofRun)],
    ['  output volume, in total', formatBytes(ofRun + disk.emulatorBundle)],
    ['peak memory', ''],
    ['  server', formatBytes(memory.server)],
    ['  client', formatBytes(memory.client)],
    ['  evaluation', formatBytes(memory.evaluation)],
    ['  fedbiot run, in total', formatBytes(memory.run)],
    ...(memory.filePages ? [['    in pages of files', formatBytes(memory.filePages)]] : []),
    ['  available on this machine', formatBytes(memory.available)],
    ...(gpuMemory ? gpuRows(gpuMemory) : []),
    ...(time ? timeRows(time) : []),
  ];
  return `${[...table(rows, 'left'), memoryVerdict(memory, advice)].join('\n')}\n`;
}

function memoryVerdict({ run, available }: PlanEstimate['memory'], advice: PlanEstimate['advice']): string {
  if (advice !== null) return `This machine does not have enough memory. ${advice}`;
  if (run <= available) return 'This machine has enough memory.';
  return 'This machine has enough memory, but not for all pages of the model’s files: the run reads them from disk again and again.';
}

function gpuRows({ server, client, evaluation, run }: GpuMemory): string[][] {
  return [
    ['GPU memory', 'about; what is free is not checked'],
    ['  server', formatBytes(server)],
    ['  client', formatBytes(client)],
    ['  evaluation', formatBytes(evaluation)],
    ['  fedbiot run, in total', formatBytes(run)],
  ];
}

function timeRows({
  rounding,
  alignmentStep,
  clientStep,
  evaluation,
  firstRound,
  laterRound,
  job,
}: TimeEstimate): string[][] {
  const row = (name: string, seconds: number | null) => (seconds === null ? [] : [[name, formatDuration(seconds)]]);
  return [
    ['time', 'about, while the model’s files are in the page cache'],
    ...row('  preparation: rounding to 4 bits', rounding),
    ...row('  an alignment step', alignmentStep),
    ...row('  a client’s step', clientStep),
    ...row('  an evaluation', evaluation),
    ...row('  the first round', firstRound),
    ...row('  a later round', laterRound),
    ...row('  all rounds', job),
  ];
}

/** Rows with aligned columns, two spaces apart. `values` is the alignment of all columns but the first. */
function table(rows: readonly (readonly string[])[], values: 'left' | 'right'): string[] {
  const widths: number[] = [];
  for (const row of rows) row.forEach((text, i) => (widths[i] = Math.max(widths[i] ?? 0, text.length)));
  return rows.map((row) =>
    row
      .map((text, i) => (i === 0 || values === 'left' ? text.padEnd(widths[i] ?? 0) : text.padStart(widths[i] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}
