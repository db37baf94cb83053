import type { LoraSpec, Projection } from '../../../crds/types.ts';
import type { RandomStream } from '../../random.ts';
import type { DecoderConfig } from '../config/config.ts';
import { layoutOf } from '../../safetensors/tensor-layout.ts';
import type { TensorLayout } from '../../safetensors/tensor-layout.ts';

/** The projections that read the same input, in the order a layer computes them: their A·x is one product. */
export const INPUT_GROUPS: readonly (readonly Projection[])[] = [
  ['q_proj', 'k_proj', 'v_proj'],
  ['o_proj'],
  ['gate_proj', 'up_proj'],
  ['down_proj'],
];

/** Where a projection stands in a decoder layer, as in checkpoint names. */
export function moduleOf(projection: Projection): 'self_attn' | 'mlp' {
  return projection === 'gate_proj' || projection === 'up_proj' || projection === 'down_proj' ? 'mlp' : 'self_attn';
}

/** Input and output features of a projection; its weight is stored as [out, in]. */
export function projectionShape(config: DecoderConfig, projection: Projection): { in: number; out: number } {
  const { hiddenSize, intermediateSize, headDim } = config;
  switch (projection) {
    case 'q_proj':
      return { in: hiddenSize, out: config.heads * headDim };
    case 'k_proj':
    case 'v_proj':
      return { in: hiddenSize, out: config.keyValueHeads * headDim };
    case 'o_proj':
      return { in: config.heads * headDim, out: hiddenSize };
    case 'gate_proj':
    case 'up_proj':
      return { in: hiddenSize, out: intermediateSize };
    case 'down_proj':
      return { in: intermediateSize, out: hiddenSize };
  }
}

/** Name of a slice: the layer's index in the full model, the projection, and which of the two factors. */
export function loraName(layer: number, projection: Projection, factor: 'lora_A' | 'lora_B'): string {
  return `layers.${layer}.${moduleOf(projection)}.${projection}.${factor}`;
}

/**
 * Lays the LoRA weights of some layers out in one flat vector. The order is a contract with the graphs: layer by layer,
 * and within a layer input group by input group, first the group's A (each [rank, in]), then its B, stored transposed
 * ([rank, out]), so that the A of a group, and the B, are each one contiguous block.
 * @param layers indices in the full model, in the order they are laid out
 */
export function loraLayout(
  config: DecoderConfig,
  layers: readonly number[],
  { rank, targets }: Pick<LoraSpec, 'rank' | 'targets'>,
): TensorLayout {
  const groups = INPUT_GROUPS.map((group) => group.filter((projection) => targets.includes(projection)));
  return layoutOf(
    layers.flatMap((layer) =>
      groups.flatMap((group) => [
        ...group.map((projection) => ({
          name: loraName(layer, projection, 'lora_A'),
          shape: [rank, projectionShape(config, projection).in],
        })),
        ...group.map((projection) => ({
          name: loraName(layer, projection, 'lora_B'),
          shape: [rank, projectionShape(config, projection).out],
        })),
      ]),
    ),
  );
}

/** PEFT's start: A uniform in ±1/√in (Kaiming with a = √5), B zero, so that the model begins unchanged. */
export function initialLora(layout: TensorLayout, stream: RandomStream): Float32Array {
  const out = new Float32Array(layout.size);
  for (const { name, shape, offset, size } of layout.slices) {
    if (!name.endsWith('.lora_A')) continue;
    const bound = 1 / Math.sqrt(shape[1] ?? 1);
    for (let i = offset; i < offset + size; i++) out[i] = (2 * stream.uniform() - 1) * bound;
  }
  return out;
}
