import type { FedBiOTJobSpec, LoraSpec } from '../../crds/types.ts';
import type { TensorLayout } from '../safetensors/tensor-layout.ts';
import { loraLayout } from './lora/layout.ts';
import type { DecoderConfig } from './config/config.ts';
import type { LayerSplit } from './split.ts';
import { UNQUANTIZED } from './weights/quantized-index.ts';
import type { QuantizedIndex, QuantizedWeights } from './weights/quantized-index.ts';
import type { ModelWeights } from './weights/stored-weights.ts';

/** A model as the federation uses it: its files, who holds which layers, and the layouts of the two LoRA vectors. */
export interface FederatedModel extends ModelWeights {
  readonly config: DecoderConfig;
  readonly split: LayerSplit;
  readonly adapter: LoraPart;
  readonly emulator: LoraPart;
  /** The projections of all layers in 8 bits, if the server's passes without a gradient multiply by them. */
  readonly computeWeights?: ComputeWeights;
}

/** Quantised projections of all layers, and how this machine multiplies by them. */
export interface ComputeWeights {
  readonly index: QuantizedIndex;
  readonly product: QuantizedWeights['product'];
}

/** A model, and the watch over files of its weights. */
export interface WatchedModel {
  readonly model: FederatedModel;
  /** @throws UserError if a file was changed since it was opened */
  readonly checkUnchanged: () => void;
}

export interface LoraPart {
  readonly layout: TensorLayout;
  /** α/r. */
  readonly scale: number;
  /** Probability of LoRA's dropout in training. */
  readonly dropout: number;
}

/** A model with its split and the layouts of the LoRA vectors that the spec describes. */
export function modelWithSplit(
  { config, weights, computeWeights }: Pick<FederatedModel, 'config' | 'weights' | 'computeWeights'>,
  split: FederatedModel['split'],
  { adapter, emulator }: Pick<FedBiOTJobSpec, 'emulator' | 'adapter'>,
): FederatedModel {
  return {
    config,
    weights,
    ...(computeWeights && { computeWeights }),
    split,
    adapter: { layout: loraLayout(config, [...split.front, ...split.tail], adapter.lora), ...scaling(adapter.lora) },
    emulator: {
      layout: loraLayout(config, split.emulator, emulator.alignment.lora),
      ...scaling(emulator.alignment.lora),
    },
  };
}

/** The model with its emulator's projections quantised. */
export function withQuantizedEmulator(
  model: FederatedModel,
  emulator: QuantizedIndex,
  product: QuantizedWeights['product'],
): FederatedModel {
  return { ...model, quantized: { emulator, teacher: UNQUANTIZED, product } };
}

/** The model as the server's passes without a gradient multiply by it. The emulator is the one that clients have. */
export function withComputeWeights(model: FederatedModel): FederatedModel {
  const { computeWeights, quantized } = model;
  if (!computeWeights) return model;
  const { index: teacher, product } = computeWeights;
  const emulator = new Map([...teacher, ...(quantized?.emulator ?? UNQUANTIZED)]);
  return { ...model, quantized: { emulator, teacher, product } };
}

function scaling({ rank, alpha, dropout }: LoraSpec): Pick<FederatedModel['adapter'], 'scale' | 'dropout'> {
  return { scale: alpha / rank, dropout };
}
