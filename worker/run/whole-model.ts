import type { ModelDirectory } from '../model/directory.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import type { LoraAdapter } from '../model/lora/peft.ts';
import { layoutOf } from '../safetensors/tensor-layout.ts';

/**
 * A full model with an adapter on any of its layers, or none, as the programs take one: everything from the first
 * adapted layer on is the tail (without an adapter, the last layer), what lies before it the teacher part, and there is
 * no emulator to speak of.
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
