import { dirname, relative, sep } from 'node:path';
import type { Graph, Value } from '../../engine/graph/graph.ts';
import type { DType } from '../../engine/graph/tensor.ts';
import type { QuantizedMatrix } from '../../engine/ops/linear.ts';
import type { FloatDtype } from '../../safetensors/float-formats.ts';
import type { TensorEntry } from '../../safetensors/safetensors.ts';
import { tensorsOf } from './quantized-index.ts';
import type { QuantizedEntry, QuantizedTensor, QuantizedWeights } from './quantized-index.ts';
import { quantizedMatrix, termsOfMatrix } from './quantized-matrix.ts';
import type { Rows } from './quantized-matrix.ts';
import type { WeightIndex } from './weight-index.ts';

/** The weights of a model, in its files. */
export interface ModelWeights {
  readonly weights: WeightIndex;
  /** Projections that passes multiply by in fewer bits; other projections are as stored. */
  readonly quantized?: QuantizedWeights;
}

/** The folder in which a session finds the weights: the closest common ancestor of their files. */
export function weightFolder({ weights, quantized }: ModelWeights): string {
  const matrices = quantized ? [quantized.emulator, quantized.teacher].flatMap(tensorsOf) : [];
  const files = new Set([...weights.values(), ...matrices].map(({ file }) => file));
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
 * @param terms of a pass of single rows: the zero-point terms of those that have them
 */
export function quantizedWeights(
  graph: Graph,
  model: ModelWeights,
  emulates: boolean,
  terms: ReadonlyMap<string, Value> = new Map(),
): (name: string) => QuantizedMatrix | undefined {
  const { quantized } = model;
  const placed = placedQuantized(graph, model);
  return (name) => {
    const entry = quantized?.[emulates ? 'emulator' : 'teacher'].get(name);
    return entry && quantizedMatrix(entry, quantized!.product, placed, terms.get(name));
  };
}

/** Zero-point terms of quantised projections in 8 bits. */
export function storedTerms(graph: Graph, model: ModelWeights): (entry: QuantizedEntry) => Value {
  const placed = placedQuantized(graph, model);
  return (entry) => termsOfMatrix(entry, placed);
}

/** Quantised tensors, or contiguous rows of them, read in place. */
function placedQuantized(graph: Graph, model: ModelWeights) {
  const folder = weightFolder(model);
  return (tensor: QuantizedTensor, dtype: DType, rows?: Rows) => inPlace(graph, folder, tensor, dtype, rows);
}

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
