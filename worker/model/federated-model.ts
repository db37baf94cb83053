import type { TensorLayout } from '../safetensors/tensor-layout.ts';
import type { DecoderConfig } from './config/config.ts';
import type { LayerSplit } from './split.ts';
import type { WeightIndex } from './weights/weight-index.ts';

/** A model as the federation uses it: its files, who holds which layers, and the layouts of the two LoRA vectors. */
export interface FederatedModel {
  readonly config: DecoderConfig;
  readonly weights: WeightIndex;
  readonly split: LayerSplit;
  readonly adapter: LoraPart;
  readonly emulator: LoraPart;
}

export interface LoraPart {
  readonly layout: TensorLayout;
  /** α/r. */
  readonly scale: number;
  /** Probability of LoRA's dropout in training. */
  readonly dropout: number;
}
