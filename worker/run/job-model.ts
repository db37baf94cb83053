import { resolve } from 'node:path';
import type { FedBiOTJobSpec } from '../../crds/types.ts';
import type { Provider } from '../engine/compute-protocol.ts';
import { matrixProduct } from '../engine/matrix-product.ts';
import type { LoraState } from '../federation/contracts.ts';
import type { ModelDirectory } from '../model/directory.ts';
import { modelWithSplit } from '../model/federated-model.ts';
import type { FederatedModel, WatchedModel } from '../model/federated-model.ts';
import { initialLora } from '../model/lora/layout.ts';
import { importPeft } from '../model/lora/peft.ts';
import { quantizeAll, quantizeEmulator } from '../model/quantize.ts';
import { splitLayers } from '../model/split.ts';
import { randomStream } from '../random.ts';
import type { OnPublicData } from './on-public-data.ts';

/** Splits a model between server and clients as the job's spec asks. */
export async function federateModel(
  directory: Pick<FederatedModel, 'config' | 'weights' | 'computeWeights'>,
  spec: Pick<FedBiOTJobSpec, 'emulator' | 'adapter'>,
  measure: (whole: FederatedModel) => Promise<number[]>,
): Promise<FederatedModel> {
  const { config } = directory;
  const { adapter, emulator } = spec;
  const request = { layers: config.layers, placement: adapter.placement, adapterLayers: adapter.layers } as const;
  const withSplit = (split: FederatedModel['split']) => modelWithSplit(directory, split, spec);
  const { layerDropRate, layerSelection: selection } = emulator;
  if (selection === 'Uniform' || layerDropRate === 0)
    return withSplit(splitLayers({ ...request, layerDropRate, selection: 'Uniform' }));
  const whole = withSplit(splitLayers({ ...request, layerDropRate: 0, selection: 'Uniform' }));
  return withSplit(splitLayers({ ...request, layerDropRate, selection, importance: await measure(whole) }));
}

/** Whether a job multiplies by no other weights than the model's. */
export function isUnquantized({ emulator, model }: Pick<FedBiOTJobSpec, 'emulator' | 'model'>): boolean {
  return emulator.weights === 'AsStored' && model.computeWeights === 'AsStored';
}

/**
 * The model, split between server and clients, with its weights in the formats that the job asks for. All its files are
 * watched.
 * @throws UserError if they cannot be written, or are damaged; the signal's reason on abort
 */
export async function formatModel(
  directory: ModelDirectory,
  spec: Pick<FedBiOTJobSpec, 'emulator' | 'adapter' | 'model'>,
  { influence, rounding }: OnPublicData,
  { cache, provider, signal }: FormatOptions,
): Promise<WatchedModel> {
  if (isUnquantized(spec))
    return { model: await federateModel(directory, spec, influence), checkUnchanged: () => directory.checkUnchanged() };
  const { computeWeights, dtype } = spec.model;
  const options = {
    modelSha256: await directory.sha256(),
    checkUnchanged: () => directory.checkUnchanged(),
    held: dtype,
    product: matrixProduct(provider),
    signal,
  };
  const all = computeWeights === 'Int8' ? await quantizeAll(directory, cache, options) : null;
  const split = await federateModel({ ...directory, ...all?.computed }, spec, influence);
  const { weights } = spec.emulator;
  const chosen = weights === 'Int4' ? rounding(split) : undefined;
  const emulated = weights === 'AsStored' ? null : await quantizeEmulator(split, weights, cache, options, chosen);
  return {
    model: emulated?.model ?? split,
    checkUnchanged: () => {
      directory.checkUnchanged();
      all?.checkUnchanged();
      emulated?.checkUnchanged();
    },
  };
}

export interface FormatOptions {
  /** Folder for data that can be computed again. */
  readonly cache: string;
  readonly provider: Provider;
  readonly signal: AbortSignal;
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
