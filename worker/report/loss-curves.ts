import type { StepEvent } from '../../crds/facts/events.ts';

/**
 * One point of a curve: the mean, lowest and highest loss over the clients of a step, each averaged over the steps of a
 * bin.
 */
export interface CurvePoint {
  /** Optimizer step since the start of the run, per participant, from 1. */
  readonly x: number;
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

export interface Curve {
  readonly points: readonly CurvePoint[];
  /** The x at which each round after the first begins. */
  readonly roundStarts: readonly number[];
}

interface Cell {
  sum: number;
  count: number;
  low: number;
  high: number;
}

/** Collects the losses of steps into one curve per phase. Add steps in any order, then read `curve`. */
export class LossCurves {
  readonly #cells = { align: new Map<number, Cell[]>(), local: new Map<number, Cell[]>() };

  add(event: StepEvent): void {
    const rounds = this.#cells[event.phase];
    let cells = rounds.get(event.round);
    if (cells === undefined) rounds.set(event.round, (cells = []));
    const cell = cells[event.step];
    if (cell === undefined) {
      cells[event.step] = { sum: event.loss, count: 1, low: event.loss, high: event.loss };
      return;
    }
    cell.sum += event.loss;
    cell.count++;
    cell.low = Math.min(cell.low, event.loss);
    cell.high = Math.max(cell.high, event.loss);
  }

  /** The curve of a phase. Adjacent steps are binned if there are more than `maxPoints` (≥ 1). */
  curve(phase: 'align' | 'local', maxPoints: number): Curve {
    const points: CurvePoint[] = [];
    const roundStarts: number[] = [];
    let x = 0;
    for (const [, cells] of [...this.#cells[phase]].sort(([a], [b]) => a - b)) {
      if (points.length > 0) roundStarts.push(x + 1);
      // Steps may be missing if the log was truncated within a phase. Their positions stay empty.
      cells.forEach((cell, step) =>
        points.push({ x: x + step + 1, mean: cell.sum / cell.count, low: cell.low, high: cell.high }),
      );
      x += cells.length;
    }
    return { points: bin(points, maxPoints), roundStarts };
  }
}

/**
 * Averages groups of adjacent points, so that at most `maxPoints` remain. All groups but the last have the same size.
 */
function bin(points: readonly CurvePoint[], maxPoints: number): CurvePoint[] {
  const width = Math.ceil(points.length / maxPoints);
  if (width <= 1) return [...points];
  const out: CurvePoint[] = [];
  for (let at = 0; at < points.length; at += width) {
    const group = points.slice(at, at + width);
    const mean = (of: (point: CurvePoint) => number) => group.reduce((sum, point) => sum + of(point), 0) / group.length;
    out.push({
      x: mean((point) => point.x),
      mean: mean((point) => point.mean),
      low: mean((point) => point.low),
      high: mean((point) => point.high),
    });
  }
  return out;
}
