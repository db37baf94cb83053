import type { Value } from '../../engine/graph/graph.ts';
import { dropout } from '../../engine/ops/dropout.ts';
import { reshape, split } from '../../engine/ops/shape.ts';
import type { TensorLayout, TensorSlice } from '../../safetensors/tensor-layout.ts';

/** LoRA of the projections of one layer that read the same input. */
export interface LoraGroup {
  /** All A of the group, one below the other: [projections·rank, in]. */
  readonly a: Value;
  /** B of each projection, transposed, [rank, out], in the order of their A. */
  readonly b: ReadonlyMap<string, Value>;
  readonly ranks: readonly number[];
  /** α/r. */
  readonly scale: number;
  /** Dropout on the input of A, in training. */
  readonly dropout: (x: Value) => Value;
}

/** LoRA's dropout: its probability, and the step's key [1] (int64). */
export interface LoraDropout {
  readonly rate: number;
  readonly key: Value;
}

/** The LoRA groups of a layer, in the layout's order; empty for a layer without LoRA. */
export type LoraOfLayer = (layer: number) => readonly LoraGroup[];

/**
 * Splits a flat LoRA vector [layout.size] into the matrices of its layers. In the layout, the A of a group are
 * adjacent, so that they are one slice. With `dropped`, projections that read the same input share a mask, whereas PEFT
 * draws one for each.
 */
export function loraOf(vector: Value, layout: TensorLayout, scale: number, dropped?: LoraDropout): LoraOfLayer {
  const groups = groupsOf(layout);
  const sizes = groups.flatMap(({ as, bs }) => [
    as.reduce((sum, { size }) => sum + size, 0),
    ...bs.map(({ size }) => size),
  ]);
  const parts = split(vector, 0, sizes).values();
  const next = (shape: readonly [number, number]) => reshape(parts.next().value!, shape);
  const layers = new Map<number, LoraGroup[]>();
  groups.forEach(({ layer, as, bs }, site) => {
    const ranks = as.map(({ rows }) => rows);
    const group = {
      a: next([ranks.reduce((sum, rank) => sum + rank, 0), as[0]!.columns]),
      b: new Map(bs.map(({ projection, rows, columns }) => [projection, next([rows, columns])])),
      ranks,
      scale,
      dropout: (x: Value) => (dropped ? dropout(x, dropped.rate, dropped.key, site) : x),
    };
    layers.set(layer, [...(layers.get(layer) ?? []), group]);
  });
  return (layer) => layers.get(layer) ?? [];
}

interface Matrix {
  readonly layer: number;
  readonly projection: string;
  readonly factor: 'lora_A' | 'lora_B';
  readonly rows: number;
  readonly columns: number;
  readonly size: number;
}

/** The layout's slices by group: a group starts with its A and ends with its B. */
function groupsOf(layout: TensorLayout): { layer: number; as: Matrix[]; bs: Matrix[] }[] {
  const groups: { layer: number; as: Matrix[]; bs: Matrix[] }[] = [];
  for (const slice of layout.slices) {
    const matrix = parse(slice);
    const open = groups.at(-1);
    if (matrix.factor === 'lora_B') open!.bs.push(matrix);
    else if (open?.bs.length === 0) open.as.push(matrix);
    else groups.push({ layer: matrix.layer, as: [matrix], bs: [] });
  }
  return groups;
}

function parse({ name, shape, size }: TensorSlice): Matrix {
  const [, layer, projection, factor] = /^layers\.(\d+)\.\w+\.(\w+)\.(lora_[AB])$/.exec(name) ?? [];
  const [rows, columns, ...more] = shape;
  if (projection === undefined || rows === undefined || columns === undefined || more.length > 0) {
    throw new Error(`${name} is not a LoRA tensor's name`);
  }
  return { layer: Number(layer), projection, factor: factor === 'lora_A' ? 'lora_A' : 'lora_B', rows, columns, size };
}
