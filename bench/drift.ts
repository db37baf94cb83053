import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readSafetensorsHeader, readTensor } from '../worker/safetensors/safetensors.ts';
import { mean, sum } from './statistics.ts';

/** A product B·A, with B [rows, rank] and A [rank, columns]. */
interface LowRank {
  readonly a: Float32Array;
  readonly b: Float32Array;
  readonly rank: number;
}

/**
 * How far clients move the adapter in a round: Σ_W ‖(α/r)·(B·A − B₀·A₀)‖², the norm in the proximal term, from the
 * round's start. The mean over all clients and rounds of a trace.
 */
export function meanDrift(trace: string, scale: number): number {
  const drifts = readdirSync(trace).flatMap((file) => {
    const [, round] = /^client\d+_r(\d+)\.safetensors$/.exec(file) ?? [];
    if (round === undefined) return [];
    const start = updates(
      join(trace, round === '0' ? 'init_lora.safetensors' : `aggregated_r${Number(round) - 1}.safetensors`),
    );
    return [
      sum([...updates(join(trace, file))].map(([name, now]) => scale ** 2 * squaredDistance(now, start.get(name)!))),
    ];
  });
  return mean(drifts);
}

function updates(path: string): Map<string, LowRank> {
  const { tensors } = readSafetensorsHeader(path);
  return new Map(
    [...tensors].flatMap(([name, entry]): [string, LowRank][] => {
      if (!name.endsWith('lora_A')) return [];
      return [
        [
          name,
          {
            a: readTensor(path, entry),
            b: readTensor(path, tensors.get(name.replace(/A$/, 'B'))!),
            rank: entry.shape[0]!,
          },
        ],
      ];
    }),
  );
}

function squaredDistance(x: LowRank, y: LowRank): number {
  return inner(x, x) - 2 * inner(x, y) + inner(y, y);
}

/** ⟨B·A, B′·A′⟩ = Σ (Bᵀ·B′) ∘ (A·A′ᵀ), for two products of the same rank. */
function inner(x: LowRank, y: LowRank): number {
  const { rank } = x;
  const columns = x.a.length / rank;
  const rows = x.b.length / rank;
  let total = 0;
  for (let i = 0; i < rank; i++) {
    for (let j = 0; j < rank; j++) {
      let bb = 0;
      let aa = 0;
      for (let row = 0; row < rows; row++) bb += x.b[row * rank + i]! * y.b[row * rank + j]!;
      for (let column = 0; column < columns; column++) aa += x.a[i * columns + column]! * y.a[j * columns + column]!;
      total += bb * aa;
    }
  }
  return total;
}
