import { formatBytes } from '../worker/report/format.ts';
import type { MemoryMeasurement } from './role-memory.ts';
import { median, table } from './statistics.ts';

/** Peak bytes of all processes of each side in a round; null if torch gains nothing from bfloat16. */
export interface RoundMemory {
  readonly ours: number;
  readonly float32: number;
  readonly bfloat16: number | null;
}

/** The memory of each role alone. */
export function memoryTable(measurements: readonly MemoryMeasurement[]): string {
  const rows = measurements.map(({ role, batchSize, klWeight, ours, torch, torchSurplus, gpu }) => [
    `${role}${role === 'server' ? `, κ = ${klWeight}` : ''}, batch ${batchSize}`,
    formatBytes(ours.compute),
    formatBytes(ours.main),
    formatBytes(torch),
    formatBytes(torch - torchSurplus),
    ...(gpu ? [formatBytes(gpu.ours), formatBytes(gpu.torch)] : []),
  ]);
  const gpuColumns = measurements.some(({ gpu }) => gpu) ? ['GPU, ours', 'GPU, torch'] : [];
  return (
    table(
      [
        'role',
        'ours: compute process',
        'ours: main process',
        'torch',
        'torch, without what the role need not hold',
        ...gpuColumns,
      ],
      rows,
    ) +
    '\nThe main process holds the tokenised data and the LoRA. Torch’s client process also holds the full model’s layers; its last column leaves them out.\n'
  );
}

interface RoundRow {
  readonly kind: 'round' | 'steady';
  readonly klWeight: number;
  readonly batchSize: number;
  readonly memory: RoundMemory;
}

/** The memory of a whole round, in which server and clients share processes on both sides. */
export function roundTable(rows: readonly RoundRow[]): string {
  const rounds = rows.filter(({ kind }) => kind === 'round');
  const batches = [...new Set(rounds.map(({ batchSize }) => batchSize))];
  const lines = batches.flatMap((batchSize) =>
    [0, 1].map((klWeight) => {
      const memory = rounds
        .filter((row) => row.batchSize === batchSize && row.klWeight === klWeight)
        .map((row) => row.memory);
      const half = memory.map(({ bfloat16 }) => bfloat16).filter((bytes) => bytes !== null);
      return [
        `round, κ = ${klWeight}, batch ${batchSize}`,
        formatBytes(median(memory.map(({ ours }) => ours))),
        formatBytes(median(memory.map(({ float32 }) => float32))),
        ...(half.length > 0 ? [formatBytes(median(half))] : []),
      ];
    }),
  );
  const hasHalf = rounds.some(({ memory }) => memory.bfloat16 !== null);
  return (
    table(['all processes together', 'ours', 'torch', ...(hasHalf ? ['torch in bfloat16'] : [])], lines) +
    '\nThe sum of the proportional set sizes of a side’s processes, sampled; torch has one process for server and clients.\n'
  );
}
