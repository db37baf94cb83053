import { resolve } from 'node:path';
import type { FedBiOTJobSpec } from '../../crds/types.ts';
import { collate } from '../data/batch.ts';
import type { Sequence } from '../data/sequence.ts';
import type { Compute } from '../engine/compute.ts';
import type { Provider } from '../engine/compute-protocol.ts';
import { matrixProduct } from '../engine/matrix-product.ts';
import type { LoraState } from '../federation/contracts.ts';
import type { ModelDirectory } from '../model/directory.ts';
import { modelWithSplit } from '../model/federated-model.ts';
import type { FederatedModel, WatchedModel } from '../model/federated-model.ts';
import { layerInfluence } from '../inference/layer-influence.ts';
import { initialLora } from '../model/lora/layout.ts';
import { packSequences } from '../inference/packs.ts';
import { importPeft } from '../model/lora/peft.ts';
import { quantizeEmulator } from '../model/quantize.ts';
import { splitLayers } from '../model/split.ts';
import { randomStream } from '../random.ts';

/**
 * Number of public sequences on which the importance of layers is measured. Its mean over tokens hardly changes after a
 * few thousand tokens.
 */
const IMPORTANCE_SEQUENCES = 64;

/** Splits a model between server and clients as the job's spec asks. */
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

/**
 * The model with its emulator in the format that the job asks for; all its files are watched. `cache` is a folder for
 * data that can be computed again.
 */
export async function formatEmulator(
  model: FederatedModel,
  { emulator, model: { dtype } }: Pick<FedBiOTJobSpec, 'emulator' | 'model'>,
  { directory, cache, provider, signal }: FormatOptions,
): Promise<WatchedModel> {
  if (emulator.weights === 'AsStored') return { model, checkUnchanged: () => directory.checkUnchanged() };
  const options = { modelSha256: await directory.sha256(), held: dtype, product: matrixProduct(provider), signal };
  const quantized = await quantizeEmulator(model, cache, options);
  return {
    model: quantized.model,
    checkUnchanged: () => {
      directory.checkUnchanged();
      quantized.checkUnchanged();
    },
  };
}

interface FormatOptions {
  /** The model as it was opened. */
  readonly directory: ModelDirectory;
  readonly cache: string;
  readonly provider: Provider;
  readonly signal: AbortSignal;
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

/** The LoRA vectors before training: PEFT's initialisation, or an earlier adapter. */
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
