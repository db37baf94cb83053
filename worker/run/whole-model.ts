import type { ModelDirectory } from '../model/directory.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import type { LoraAdapter } from '../model/lora/peft.ts';
import { layoutOf } from '../safetensors/tensor-layout.ts';

/**
 * A full model, with an adapter on any of its layers or without one, in the form that the programs expect. The tail
 * begins at the first adapted layer (without an adapter, it is the last layer), and the teacher part is everything
 * before it. The emulator is not used.
 */
export function wholeModel(
  { config, weights }: Pick<ModelDirectory, 'config' | 'weights'>,
  adapter: LoraAdapter | null,
): FederatedModel {
  const adapted = adapter ? adapter.layout.slices.map(({ name }) => Number(name.split('.')[1])) : [config.layers - 1];
  const first = Math.min(...adapted);
  const layers = Array.from({ length: config.layers }, (_, layer) => layer);
  const teacher = layers.slice(0, first);
  const nothing = { layout: layoutOf([]), scale: 1, dropout: 0 };
  return {
    config,
    weights,
    split: { front: [], teacher, emulator: teacher, tail: layers.slice(first), dropped: [] },
    adapter: adapter ? { layout: adapter.layout, scale: adapter.spec.alpha / adapter.spec.rank, dropout: 0 } : nothing,
    emulator: nothing,
  };
}
