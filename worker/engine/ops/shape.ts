import { plain } from '../graph/graph.ts';
import type { Value } from '../graph/graph.ts';
import { sameShape } from '../graph/tensor.ts';
import type { Dim, Shape } from '../graph/tensor.ts';

/**
 * The same elements in another shape. A named dimension is copied if the source has it at the same axis, inferred once,
 * and otherwise taken from the graph's inputs.
 */
export function reshape(x: Value, shape: Shape): Value {
  if (sameShape(x.shape, shape)) return x;
  const y = x.graph.apply('Reshape', [x, shapeOperand(x, shape)], x.dtype, shape);
  return x.graph.differentiable([x], y, (dy) => [plain(reshape(dy, x.shape))]);
}

function shapeOperand(x: Value, shape: Shape): Value {
  const { graph } = x;
  let inferred = false;
  const parts = shape.map((dim, i): number | Value => {
    if (typeof dim === 'number') return dim;
    if (x.shape[i] === dim) return 0;
    if (inferred) return graph.dimension(dim);
    inferred = true;
    return -1;
  });
  if (parts.every((part) => typeof part === 'number')) return graph.integers(...parts);
  const operands = parts.map((part) => (typeof part === 'number' ? graph.integers(part) : part));
  return graph.apply('Concat', operands, 'int64', [parts.length], { axis: 0 });
}

export function transpose(x: Value, permutation: readonly number[]): Value {
  const y = x.graph.apply(
    'Transpose',
    [x],
    x.dtype,
    permutation.map((axis) => x.shape[axis]!),
    { perm: permutation },
  );
  const inverse = permutation.map((_, axis) => permutation.indexOf(axis));
  return x.graph.differentiable([x], y, (dy) => [plain(transpose(dy, inverse))]);
}

/** Concatenates along `axis`; the other dimensions agree. `size` names the new dimension if it cannot be summed. */
export function concat(xs: readonly Value[], axis: number, size?: Dim): Value {
  const first = xs[0]!;
  if (xs.length === 1) return first;
  const sizes = xs.map((x) => x.shape[axis]!);
  const total = sizes.every((s) => typeof s === 'number') ? sizes.reduce((a, b) => a + b, 0) : size;
  if (total === undefined) throw new Error('the concatenated dimension needs a name');
  const y = first.graph.apply('Concat', xs, first.dtype, first.shape.with(axis, total), { axis });
  return first.graph.differentiable(xs, y, (dy) => {
    if (!sizes.every((s) => typeof s === 'number'))
      throw new Error('concatenation along a named dimension has no gradient');
    return split(dy, axis, sizes).map(plain);
  });
}

/** Splits along `axis` into parts of the given sizes. */
export function split(x: Value, axis: number, sizes: readonly number[]): Value[] {
  if (sizes.length === 1) return [x];
  const { graph } = x;
  const results = sizes.map((size) => ({ dtype: x.dtype, shape: x.shape.with(axis, size) }));
  const parts = graph.applyMany('Split', [x, graph.integers(...sizes)], results, { axis });
  return graph.differentiableMany([x], parts, (dys) => {
    const joined = dys.map((dy, i) => dy ?? zerosLike(parts[i]!));
    return [plain(graph.apply('Concat', joined, x.dtype, x.shape, { axis }))];
  });
}

export function zerosLike(x: Value): Value {
  return x.graph.apply('Expand', [x.graph.number(0), shapeOf(x)], x.dtype, x.shape);
}

function shapeOf(x: Value): Value {
  return x.graph.apply('Shape', [x], 'int64', [x.shape.length]);
}

export function reduceSum(x: Value, axes: readonly number[], keepDimensions: boolean): Value {
  return reduce('ReduceSum', x, axes, keepDimensions, (dy) => dy);
}

/** Mean over axes whose sizes are known; a mean over named dimensions is a sum with a weight that the caller feeds. */
export function reduceMean(x: Value, axes: readonly number[], keepDimensions: boolean): Value {
  const count = axes.reduce((product, axis) => {
    const dim = x.shape.at(axis);
    if (typeof dim !== 'number') throw new Error(`the mean over dimension ${dim} needs a constant size`);
    return product * dim;
  }, 1);
  return reduce('ReduceMean', x, axes, keepDimensions, (dy) => scaled(dy, 1 / count));
}

function reduce(
  operator: string,
  x: Value,
  axes: readonly number[],
  keepDimensions: boolean,
  scale: (dy: Value) => Value,
): Value {
  const { graph } = x;
  const reduced = axes.map((axis) => (axis < 0 ? axis + x.shape.length : axis));
  const kept = x.shape.map((dim, i) => (reduced.includes(i) ? 1 : dim));
  const shape = keepDimensions ? kept : x.shape.filter((_, i) => !reduced.includes(i));
  if (reduced.length === 0) return x;
  const y = graph.apply(operator, [x, graph.integers(...reduced)], x.dtype, shape, {
    keepdims: keepDimensions ? 1 : 0,
  });
  return graph.differentiable([x], y, (dy) => {
    return [plain(graph.apply('Expand', [reshape(scale(dy), kept), shapeOf(x)], x.dtype, x.shape))];
  });
}

function scaled(x: Value, factor: number): Value {
  return x.graph.apply('Mul', [x, x.graph.number(factor)], x.dtype, x.shape);
}
