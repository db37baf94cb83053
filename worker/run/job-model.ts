import { resolve } from 'node:path';
import type { FedBiOTJobSpec, LoraSpec } from '../../crds/types.ts';
import { collate } from '../data/batch.ts';
import type { Sequence } from '../data/sequence.ts';
import type { Compute } from '../engine/compute.ts';
import type { LoraState } from '../federation/contracts.ts';
import type { ModelDirectory } from '../model/directory.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import { layerInfluence } from '../inference/layer-influence.ts';
import { initialLora, loraLayout } from '../model/lora/layout.ts';
import { packSequences } from '../inference/packs.ts';
import { importPeft } from '../model/lora/peft.ts';
import { splitLayers } from '../model/split.ts';
import { randomStream } from '../random.ts';

/**
 * Public sequences that the layers' importance is measured on: their mean over tokens hardly moves after a few
 * thousand.
 */
const IMPORTANCE_SEQUENCES = 64;

/** A model directory as a job splits it between server and clients. */
export async function federateModel(
  directory: ModelDirectory,
  spec: Pick<FedBiOTJobSpec, 'emulator' | 'adapter'>,
  measure: (whole: FederatedModel) => Promise<number[]>,
): Promise<FederatedModel> {
  const { config, weights } = directory;
  const { adapter, emulator } = spec;
  const request = { layers: config.layers, placement: adapter.placement, adapterLayers: adapter.layers } as const;
  const withSplit = (split: FederatedModel['split']) => modelWithSplit({ config, weights }, split, spec);
  const { layerDropRate, layerSelection: selection } = emulator;
  if (selection === 'Uniform' || layerDropRate === 0)
    return withSplit(splitLayers({ ...request, layerDropRate, selection: 'Uniform' }));
  const whole = withSplit(splitLayers({ ...request, layerDropRate: 0, selection: 'Uniform' }));
  return withSplit(splitLayers({ ...request, layerDropRate, selection, importance: await measure(whole) }));
}

/** A model whose split is known, with the layouts of the LoRA that the spec asks for. */
export function modelWithSplit(
  { config, weights }: Pick<FederatedModel, 'config' | 'weights'>,
  split: FederatedModel['split'],
  { adapter, emulator }: Pick<FedBiOTJobSpec, 'emulator' | 'adapter'>,
): FederatedModel {
  return {
    config,
    weights,
    split,
    adapter: { layout: loraLayout(config, [...split.front, ...split.tail], adapter.lora), ...scaling(adapter.lora) },
    emulator: {
      layout: loraLayout(config, split.emulator, emulator.alignment.lora),
      ...scaling(emulator.alignment.lora),
    },
  };
}

/** Measures the layers' influence on public data, for `layerSelection: Importance`. */
export function influenceOnPublicData(
  compute: Compute,
  publicSequences: readonly Sequence[],
  seed: number,
): (whole: FederatedModel) => Promise<number[]> {
  return (whole) => {
    const sample = randomStream(seed, 'importance').shuffle(publicSequences).slice(0, IMPORTANCE_SEQUENCES);
    return layerInfluence(
      compute,
      whole,
      packSequences(sample).map((pack) => collate(pack, 0)),
    );
  };
}

/** LoRA as training begins: PEFT's start, or an earlier adapter. */
export function startingLora(
  model: FederatedModel,
  spec: Pick<FedBiOTJobSpec, 'adapter' | 'seed'>,
  baseDirectory: string,
): LoraState {
  const { adapter, seed } = spec;
  const fresh = (name: string, part: FederatedModel['adapter']) =>
    initialLora(part.layout, randomStream(seed, 'lora', name));
  return {
    adapter:
      adapter.initFrom === undefined
        ? fresh('adapter', model.adapter)
        : importPeft(resolve(baseDirectory, adapter.initFrom), { spec: adapter.lora, layout: model.adapter.layout }),
    emulator: fresh('emulator', model.emulator),
  };
}

function scaling({ rank, alpha, dropout }: LoraSpec): Pick<FederatedModel['adapter'], 'scale' | 'dropout'> {
  return { scale: alpha / rank, dropout };
}
