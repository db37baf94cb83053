import type { Tensor } from '../../worker/engine/graph/tensor.ts';
import type { TensorLayout, TensorSlice } from '../../worker/safetensors/tensor-layout.ts';
import { numbers } from './fixture-tensors.ts';

/** PEFT's tensors, in which B is [out, rank], as a flat vector, in which B is [rank, out]. */
export function loraVector(layout: TensorLayout, tensor: (name: string) => Tensor): Float32Array {
  const vector = new Float32Array(layout.size);
  for (const slice of layout.slices) vector.set(inOurOrder(slice, numbers(tensor(slice.name))), slice.offset);
  return vector;
}

/** One of PEFT's tensors in the order of its slice. */
export function inOurOrder({ name, shape }: TensorSlice, values: readonly number[]): number[] {
  const [rank, width] = shape as [number, number];
  if (name.endsWith('lora_A')) return [...values];
  return values.map((_, i) => values[(i % width) * rank + Math.floor(i / width)]!);
}
