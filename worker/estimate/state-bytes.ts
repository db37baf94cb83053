import type { AlignmentSpec } from '../../crds/types.ts';
import type { DecoderConfig } from '../model/config/config.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import { comparedLayers } from '../model/programs/alignment.ts';
import { FLOAT_BYTES } from '../safetensors/float-formats.ts';

/** Bytes of the hidden states of so many tokens after one layer, in float32. */
export function stateBytes({ hiddenSize }: Pick<DecoderConfig, 'hiddenSize'>, tokens: number): number {
  return tokens * hiddenSize * FLOAT_BYTES.F32;
}

/** Bytes of the teacher's states of so many tokens, after all layers that an alignment compares. */
export function comparedStateBytes(
  model: FederatedModel,
  { similarity }: Pick<AlignmentSpec, 'similarity'>,
  tokens: number,
): number {
  return comparedLayers(model, similarity).length * stateBytes(model.config, tokens);
}
