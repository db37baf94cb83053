/**
 * Element types of a graph. Computation is in float32; half precision occurs only in stored weights, 8 bits in
 * quantised ones and in the rows that they multiply. Weights in 4 bits are uint4, or uint8 with two in each.
 */
export type DType =
  'float32' | 'float16' | 'bfloat16' | 'int8' | 'uint8' | 'uint4' | 'int32' | 'int64' | 'uint64' | 'bool';

/** A dimension: a number, or a name if it is known only when the graph runs. */
export type Dim = number | string;
export type Shape = readonly Dim[];

/** A dense tensor outside a graph, in row-major order. */
export interface Tensor {
  readonly dtype: 'float32' | 'int8' | 'uint8' | 'int32' | 'int64';
  readonly shape: readonly number[];
  readonly data: Float32Array | Int8Array | Uint8Array | Int32Array | BigInt64Array;
}

export function float32(data: Float32Array, shape: readonly number[] = [data.length]): Tensor {
  return { dtype: 'float32', shape, data };
}

/** The elements of a tensor that is float32; another one is a programming error. */
export function floats({ dtype, data }: Tensor): Float32Array {
  if (!(data instanceof Float32Array)) throw new Error(`a tensor is ${dtype}, not float32`);
  return data;
}

export function int32(data: Int32Array, shape: readonly number[] = [data.length]): Tensor {
  return { dtype: 'int32', shape, data };
}

/** The shape of an element-wise result, by the usual rules (aligned at the last axis; 1 stretches). */
export function broadcast(a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const x = a[i - rank + a.length] ?? 1;
    const y = b[i - rank + b.length] ?? 1;
    if (x !== y && x !== 1 && y !== 1) throw new Error(`cannot broadcast [${a.join(', ')}] with [${b.join(', ')}]`);
    return x === 1 ? y : x;
  });
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i]);
}
