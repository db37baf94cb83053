import { UserError } from '../../crds/facts/user-error.ts';

/** The parts of a model's layers; all numbers are layer indices in the full model, ascending. */
export interface LayerSplit {
  /** Adapter layers before the teacher part; empty unless the placement is `Both`. */
  readonly front: readonly number[];
  /** The layers between the adapter's, which the emulator replaces. */
  readonly teacher: readonly number[];
  /** The teacher's layers that the emulator keeps. */
  readonly emulator: readonly number[];
  /** Adapter layers after the teacher part. */
  readonly tail: readonly number[];
  /** The teacher's layers that no client receives. */
  readonly dropped: readonly number[];
}

export interface SplitRequest {
  /** Decoder layers of the full model. */
  readonly layers: number;
  readonly placement: 'Last' | 'Both';
  /**
   * Adapter layers at each end: `Last` with 4 means the last four, `Both` with 2 the first two and the last two.
   */
  readonly adapterLayers: number;
  /** β in [0, 1): the share of the teacher's layers that the emulator drops. */
  readonly layerDropRate: number;
  readonly selection: 'Uniform' | 'Importance';
  /** Influence of each teacher layer, in order; `Importance` needs it unless nothing is dropped. */
  readonly importance?: readonly number[];
}

/**
 * Splits a decoder into adapter and teacher part, and chooses the n' = round(n(1-β)) teacher layers that the emulator
 * keeps: evenly spaced (`Uniform`), or those of highest influence, the first and the last always (`Importance`).
 * @throws UserError if the adapter leaves no layers for the emulator, or fewer than two emulator layers remain
 */
export function splitLayers(request: SplitRequest): LayerSplit {
  const { layers, placement, adapterLayers, layerDropRate, selection } = request;
  const ends = placement === 'Both' ? 2 : 1;
  if (!Number.isInteger(adapterLayers) || adapterLayers < 1) {
    throw new UserError(`adapter.layers is ${adapterLayers}; an adapter has at least one layer`);
  }
  if (!(layerDropRate >= 0 && layerDropRate < 1)) {
    throw new UserError(`emulator.layerDropRate is ${layerDropRate}; it must be at least 0 and less than 1`);
  }
  const n = layers - ends * adapterLayers;
  if (n < 1) {
    const wanted = ends === 2 ? `${adapterLayers} adapter layers at each end` : `${adapterLayers} adapter layers`;
    throw new UserError(
      `${wanted} do not fit: the model has ${layers} layers, and some must be left for the emulator`,
      {
        hint: `Set adapter.layers to at most ${Math.floor((layers - 2) / ends)}.`,
      },
    );
  }
  const kept = roundHalfEven(n * (1 - layerDropRate));
  if (kept < 2) {
    throw new UserError(
      `the emulator is left with ${kept} of ${n} layers (layerDropRate ${layerDropRate}, ${ends * adapterLayers} of ${layers} layers in the adapter); it needs at least 2`,
      { hint: 'Lower emulator.layerDropRate or adapter.layers.' },
    );
  }
  const first = ends === 2 ? adapterLayers : 0;
  const teacher = range(first, first + n);
  const positions =
    selection === 'Uniform' || kept === n ? uniformPositions(n, kept) : importantPositions(n, kept, request.importance);
  const keep = new Set(positions.map((position) => first + position));
  return {
    front: range(0, first),
    teacher,
    emulator: teacher.filter((layer) => keep.has(layer)),
    tail: range(first + n, layers),
    dropped: teacher.filter((layer) => !keep.has(layer)),
  };
}

/**
 * int(i · stride), stride = (n-1)/(n'-1). The stride is rounded before it is multiplied, as in the authors' code:
 * i·(n-1)/(n'-1) in one expression differs from it by one layer if the product is just below an integer (for example,
 * 16 layers at β = 0.25).
 */
function uniformPositions(n: number, kept: number): number[] {
  const stride = (n - 1) / (kept - 1);
  return range(0, kept).map((i) => Math.trunc(i * stride));
}

/** The first, the last and the most influential positions; of equal ones, the earlier. */
function importantPositions(n: number, kept: number, importance: readonly number[] | undefined): number[] {
  if (importance?.length !== n || !importance.every(Number.isFinite)) {
    throw new UserError(
      `layer importance must be ${n} finite numbers, one a teacher layer; got ${importance?.length ?? 'none'}`,
      {
        hint: 'Non-finite importance means that the model gives NaN or infinite hidden states on the public data.',
      },
    );
  }
  const inner = range(1, n - 1).sort((a, b) => importance[b]! - importance[a]! || a - b);
  return [0, ...inner.slice(0, kept - 2), n - 1];
}

/** Rounds to the nearest integer, and halves to even, as Python's round(). */
function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const fraction = x - floor;
  if (fraction !== 0.5) return fraction < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}
