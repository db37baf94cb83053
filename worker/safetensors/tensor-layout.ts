/** The place of a named tensor in a flat float32 vector. */
export interface TensorSlice {
  readonly name: string;
  readonly shape: readonly number[];
  /** Index of its first element. */
  readonly offset: number;
  /** Number of elements. */
  readonly size: number;
}

/** Names the slices of a flat vector, such as the LoRA weights of one part of a model. */
export interface TensorLayout {
  readonly slices: readonly TensorSlice[];
  /** Number of elements of the whole vector. */
  readonly size: number;
}

/** Places tensors one after the other, in the given order. */
export function layoutOf(tensors: readonly { name: string; shape: readonly number[] }[]): TensorLayout {
  const slices: TensorSlice[] = [];
  let offset = 0;
  for (const { name, shape } of tensors) {
    const size = shape.reduce((a, b) => a * b, 1);
    slices.push({ name, shape, offset, size });
    offset += size;
  }
  return { slices, size: offset };
}
