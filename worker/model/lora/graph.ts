import type { Value } from '../../engine/graph/graph.ts';
import { dropout } from '../../engine/ops/dropout.ts';
import { reshape, split } from '../../engine/ops/shape.ts';
import { INPUT_GROUPS } from './layout.ts';
import type { TensorLayout, TensorSlice } from '../../safetensors/tensor-layout.ts';

/** LoRA of the projections of one layer that read the same input. */
export interface LoraGroup {
  /** All A of the group, one below the other: [projections·rank, in]. */
  readonly a: Value;
  /** B of each projection, transposed: [rank, out]. */
  readonly b: ReadonlyMap<string, Value>;
  readonly rank: number;
  /** α/r. */
  readonly scale: number;
  /** Dropout of what A reads, in training. */
  readonly dropout: (x: Value) => Value;
}

/** LoRA's dropout: its probability, and the step's key [1] (int64). */
export interface LoraDropout {
  readonly rate: number;
  readonly key: Value;
}

/** Groups of one layer, by the name of each group's first projection in the model. */
export type LoraGroups = ReadonlyMap<string, LoraGroup>;

/**
 * Cuts a flat LoRA vector [layout.size] into the matrices of its layers. In the layout the A of a group are neighbours,
 * so a group's A is one slice. With `dropped`, projections that read the same input share its mask, where PEFT draws
 * one for each.
 */
export function loraOf(
  vector: Value,
  layout: TensorLayout,
  scale: number,
  dropped?: LoraDropout,
): (layer: number) => LoraGroups | undefined {
  const units = groupUnits(layout);
  const parts = split(
    vector,
    0,
    units.map((unit) => unit.size),
  );
  const layers = new Map<number, Map<string, { a?: Value; b: Map<string, Value>; rank: number }>>();
  units.forEach((unit, i) => {
    const { layer, projection, matrix } = unit;
    const groups = layers.get(layer) ?? new Map<string, { a?: Value; b: Map<string, Value>; rank: number }>();
    layers.set(layer, groups);
    const group = groups.get(groupOf(projection)) ?? { b: new Map<string, Value>(), rank: unit.rank };
    groups.set(groupOf(projection), group);
    const value = reshape(parts[i]!, unit.shape);
    if (matrix === 'lora_A') group.a = value;
    else group.b.set(projection, value);
  });
  let sites = 0;
  const dropoutOfGroup = (): LoraGroup['dropout'] => {
    const site = sites++;
    return (x) => (dropped ? dropout(x, dropped.rate, dropped.key, site) : x);
  };
  const complete = new Map(
    [...layers].map(([layer, groups]) => [
      layer,
      new Map(
        [...groups].map(([first, { a, b, rank }]) => [first, { a: a!, b, rank, scale, dropout: dropoutOfGroup() }]),
      ),
    ]),
  );
  return (layer) => complete.get(layer);
}

interface Unit {
  readonly layer: number;
  readonly projection: string;
  readonly matrix: string;
  readonly rank: number;
  readonly size: number;
  readonly shape: readonly [number, number];
}

/** The layout's slices, with the A of a group merged. */
function groupUnits(layout: TensorLayout): Unit[] {
  const units: Unit[] = [];
  for (const slice of layout.slices) {
    const unit = parse(slice);
    const last = units.at(-1);
    if (
      last &&
      unit.matrix === 'lora_A' &&
      last.matrix === 'lora_A' &&
      last.layer === unit.layer &&
      groupOf(last.projection) === groupOf(unit.projection)
    ) {
      units[units.length - 1] = {
        ...last,
        size: last.size + unit.size,
        shape: [last.shape[0] + unit.shape[0], last.shape[1]],
      };
    } else units.push(unit);
  }
  return units;
}

function parse({ name, shape, size }: TensorSlice): Unit {
  const match = /^layers\.(\d+)\.\w+\.(\w+)\.(lora_[AB])$/.exec(name);
  if (!match || shape.length !== 2) throw new Error(`${name} is not a LoRA tensor's name`);
  const [, layer, projection, matrix] = match;
  return {
    layer: Number(layer),
    projection: projection!,
    matrix: matrix!,
    rank: shape[0]!,
    size,
    shape: [shape[0]!, shape[1]!],
  };
}

function groupOf(projection: string): string {
  const group = INPUT_GROUPS.find((projections) => projections.some((name) => name === projection));
  if (!group) throw new Error(`${projection} is not a projection of the decoder`);
  return group[0]!;
}
