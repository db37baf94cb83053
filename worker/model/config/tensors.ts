import type { DecoderConfig } from './config.ts';
import { projections } from './projections.ts';
import type { DecoderProjection } from './projections.ts';

export const EMBEDDING = 'model.embed_tokens.weight';
export const FINAL_NORM = 'model.norm.weight';
export const HEAD = 'lm_head.weight';

/** The name and shape of a weight in a checkpoint. */
export interface NamedShape {
  readonly name: string;
  /** [out, in] for projections, [vocabulary, hidden] for embedding and head. */
  readonly shape: readonly number[];
}

/**
 * The weights of a decoder, in the order of computation. A tied model has no `lm_head.weight`. `layers` selects
 * decoder layers; embedding, final norm and head are always included. The projections' weights of `quantized` layers
 * are left out.
 */
export function decoderTensors(
  config: DecoderConfig,
  layers: readonly number[] = Array.from({ length: config.layers }, (_, layer) => layer),
  quantized: readonly number[] = [],
): NamedShape[] {
  const { hiddenSize, vocabSize } = config;
  const described = projections(config);
  const layerTensors = (layer: number): NamedShape[] => [
    { name: layerWeight(layer, 'input_layernorm'), shape: [hiddenSize] },
    { name: layerWeight(layer, 'post_attention_layernorm'), shape: [hiddenSize] },
    ...described.flatMap((projection) => [
      ...(quantized.includes(layer)
        ? []
        : [{ name: projectionWeight(layer, projection), shape: [projection.out, projection.in] }]),
      ...(projection.bias ? [{ name: projectionBias(layer, projection), shape: [projection.out] }] : []),
    ]),
  ];
  return [
    { name: EMBEDDING, shape: [vocabSize, hiddenSize] },
    ...layers.flatMap(layerTensors),
    { name: FINAL_NORM, shape: [hiddenSize] },
    ...(config.tiedEmbeddings ? [] : [{ name: HEAD, shape: [vocabSize, hiddenSize] }]),
  ];
}

/** Name of the weight of a layer's module, such as a norm. */
export function layerWeight(layer: number, module: string): string {
  return `model.layers.${layer}.${module}.weight`;
}

export function projectionWeight(layer: number, { module, name }: DecoderProjection): string {
  return layerWeight(layer, `${module}.${name}`);
}

export function projectionBias(layer: number, { module, name }: DecoderProjection): string {
  return `model.layers.${layer}.${module}.${name}.bias`;
}

/** The layer that a weight belongs to; null for embedding, final norm and head. */
export function layerOf(weight: string): number | null {
  const layer = /^model\.layers\.(\d+)\./.exec(weight)?.[1];
  return layer === undefined ? null : Number(layer);
}

/** Name of the head's weight: the embedding if the two are tied. */
export function headName({ tiedEmbeddings }: Pick<DecoderConfig, 'tiedEmbeddings'>): string {
  return tiedEmbeddings ? EMBEDDING : HEAD;
}
