import type { LoraSpec } from '../../../crds/types.ts';
import type { RandomStream } from '../../random.ts';
import type { DecoderConfig } from '../config/config.ts';
import { inputGroups } from '../config/projections.ts';
import type { DecoderProjection } from '../config/projections.ts';
import { layoutOf } from '../../safetensors/tensor-layout.ts';
import type { TensorLayout } from '../../safetensors/tensor-layout.ts';

/** Name of a slice: the layer's index in the full model, the projection, and which of the two factors. */
export function loraName(
  layer: number,
  { module, name }: Pick<DecoderProjection, 'module' | 'name'>,
  factor: 'lora_A' | 'lora_B',
): string {
  return `layers.${layer}.${module}.${name}.${factor}`;
}

/**
 * The layout of the LoRA weights of some layers in one flat vector. The graphs rely on its order: layer by layer,
 * within a layer by input group, first the group's A (each [rank, in]), then its B, stored transposed ([rank, out]), so
 * that the A of a group, and the B, are each one contiguous block.
 * @param layers indices in the full model, in the order of the layout
 */
export function loraLayout(
  config: DecoderConfig,
  layers: readonly number[],
  { rank, targets }: Pick<LoraSpec, 'rank' | 'targets'>,
): TensorLayout {
  const groups = inputGroups(config).map((group) => group.filter(({ name }) => targets.includes(name)));
  return layoutOf(
    layers.flatMap((layer) =>
      groups.flatMap((group) => [
        ...group.map((to) => ({ name: loraName(layer, to, 'lora_A'), shape: [rank, to.in] })),
        ...group.map((to) => ({ name: loraName(layer, to, 'lora_B'), shape: [rank, to.out] })),
      ]),
    ),
  );
}

/** The part of a layout that belongs to one layer, which is contiguous: its own layout, and where it starts. */
export function layoutOfLayer(layout: TensorLayout, layer: number): { layout: TensorLayout; offset: number } {
  const own = layout.slices.filter(({ name }) => name.startsWith(`layers.${layer}.`));
  return { layout: layoutOf(own), offset: own[0]?.offset ?? 0 };
}

/**
 * PEFT's initial values: A uniform in ±1/√in (Kaiming with a = √5), B zero, so that the model is unchanged at first.
 */
export function initialLora(layout: TensorLayout, stream: RandomStream): Float32Array {
  const out = new Float32Array(layout.size);
  for (const { name, shape, offset, size } of layout.slices) {
    if (!name.endsWith('.lora_A')) continue;
    const bound = 1 / Math.sqrt(shape[1] ?? 1);
    for (let i = offset; i < offset + size; i++) out[i] = (2 * stream.uniform() - 1) * bound;
  }
  return out;
}
