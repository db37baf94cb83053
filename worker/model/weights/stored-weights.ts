import { dirname, relative, sep } from 'node:path';
import type { Graph, Value } from '../../engine/graph/graph.ts';
import type { DType } from '../../engine/graph/tensor.ts';
import type { FloatDtype } from '../../safetensors/float-formats.ts';
import type { WeightIndex } from './weight-index.ts';

/** The folder in which a session finds the weights: the closest common ancestor of their files. */
export function weightFolder(weights: WeightIndex): string {
  const folders = [...weights.values()].map(({ file }) => dirname(file).split(sep));
  const common = folders.reduce((a, b) => {
    const differ = a.findIndex((part, i) => part !== b[i]);
    return differ < 0 ? a : a.slice(0, differ);
  });
  return common.join(sep) || sep;
}

const GRAPH_DTYPES = { F32: 'float32', BF16: 'bfloat16', F16: 'float16' } as const satisfies Record<FloatDtype, DType>;

/** Frozen weights, or the contiguous rows [from, to) of one, read in place from the model's files. */
export function storedWeights(
  graph: Graph,
  weights: WeightIndex,
): (name: string, rows?: readonly [from: number, to: number]) => Value {
  const folder = weightFolder(weights);
  return (name, rows) => {
    const entry = weights.get(name);
    if (!entry) throw new Error(`the model has no weight ${name}`);
    const { file, dtype, shape, offset, bytes } = entry;
    const [from, to] = rows ?? [0, shape[0]!];
    const rowBytes = bytes / shape[0]!;
    const place = { file: relative(folder, file), offset: offset + from * rowBytes, bytes: (to - from) * rowBytes };
    return graph.weight(
      rows ? `${name}[${from}:${to}]` : name,
      GRAPH_DTYPES[dtype],
      [to - from, ...shape.slice(1)],
      place,
    );
  };
}
