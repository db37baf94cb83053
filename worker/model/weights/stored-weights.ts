import { dirname, relative, sep } from 'node:path';
import type { Graph, Value } from '../../engine/graph/graph.ts';
import type { DType } from '../../engine/graph/tensor.ts';
import type { QuantizedMatrix } from '../../engine/ops/linear.ts';
import type { FloatDtype } from '../../safetensors/float-formats.ts';
import type { TensorEntry } from '../../safetensors/safetensors.ts';
import { tensorsOf } from './quantized-index.ts';
import type { QuantizedWeights } from './quantized-index.ts';
import type { WeightIndex } from './weight-index.ts';

/** The weights of a model, in its files. */
export interface ModelWeights {
  readonly weights: WeightIndex;
  /** Projections that passes multiply by in 8 bits; other passes have the same layers as stored. */
  readonly quantized?: QuantizedWeights;
}

/** The folder in which a session finds the weights: the closest common ancestor of their files. */
export function weightFolder({ weights, quantized }: ModelWeights): string {
  const files = new Set([...weights.values(), ...tensorsOf(quantized)].map(({ file }) => file));
  const folders = [...files].map((file) => dirname(file).split(sep));
  const common = folders.reduce((a, b) => {
    const differ = a.findIndex((part, i) => part !== b[i]);
    return differ < 0 ? a : a.slice(0, differ);
  });
  return common.join(sep) || sep;
}

const GRAPH_DTYPES = { F32: 'float32', BF16: 'bfloat16', F16: 'float16' } as const satisfies Record<FloatDtype, DType>;

/** Frozen weights, or the contiguous rows [from, to) of one, read in place from the model's files. */
export function storedWeights(graph: Graph, model: ModelWeights): (name: string, rows?: Rows) => Value {
  const folder = weightFolder(model);
  return (name, rows) => {
    const entry = model.weights.get(name);
    if (!entry) throw new Error(`the model has no weight ${name}`);
    return inPlace(graph, folder, { ...entry, name }, GRAPH_DTYPES[entry.dtype], rows);
  };
}

/**
 * Quantised projections by the names of their weights, read in place; undefined for weights that the pass has as
 * stored.
 * @param emulates whether the pass has the emulator's layers, and not the teacher's
 */
export function quantizedWeights(
  graph: Graph,
  model: ModelWeights,
  emulates: boolean,
): (name: string) => QuantizedMatrix | undefined {
  const folder = weightFolder(model);
  const quantized = emulates || model.quantized?.passes === 'All' ? model.quantized : undefined;
  return (name) => {
    const entry = quantized?.index.get(name);
    return (
      entry && {
        values: (rows) => inPlace(graph, folder, entry.values, 'int8', rows),
        scales: inPlace(graph, folder, entry.scales, 'float32'),
        product: quantized!.product,
      }
    );
  };
}

type Rows = readonly [from: number, to: number];

function inPlace(
  graph: Graph,
  folder: string,
  { name, file, shape, offset, bytes }: Omit<TensorEntry, 'dtype'> & { readonly name: string; readonly file: string },
  dtype: DType,
  rows?: Rows,
): Value {
  const [from, to] = rows ?? [0, shape[0]!];
  const rowBytes = bytes / shape[0]!;
  const place = { file: relative(folder, file), offset: offset + from * rowBytes, bytes: (to - from) * rowBytes };
  return graph.weight(rows ? `${name}[${from}:${to}]` : name, dtype, [to - from, ...shape.slice(1)], place);
}
