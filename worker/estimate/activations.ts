import { UNTILED_TOKENS } from '../engine/ops/whole-attention.ts';
import { PACK_TOKENS } from '../inference/packs.ts';
import type { DecoderConfig } from '../model/config/config.ts';
import { FLOAT_BYTES } from '../safetensors/float-formats.ts';

/* Activations of a decoder's layers, from shapes alone. "Measured" is explained in role-demand.ts. */

/**
 * Values per token that a layer with LoRA keeps for the gradient: about nine of the hidden width (inputs of norms and
 * projections, queries, keys, values), six of the MLP's width, and a row of attention probabilities per head; measured.
 * Dropout adds a mask and the masked copy of each of the four inputs.
 */
export function trainedLayer(
  { hiddenSize, intermediateSize, heads }: DecoderConfig,
  length: number,
  dropout = 0,
): number {
  const masks = dropout > 0 ? 2 * (3 * hiddenSize + intermediateSize) : 0;
  return 9 * hiddenSize + 6 * intermediateSize + heads * length + masks;
}

/**
 * The same for a frozen layer that the gradient crosses. No weight gradient needs the projections' inputs; measured.
 */
export function crossedLayer({ hiddenSize, intermediateSize, heads }: DecoderConfig, length: number): number {
  return 7 * hiddenSize + 4 * intermediateSize + heads * length;
}

/**
 * Values per token for the attention of one layer: scores, masked scores and their gradient, before and after the
 * softmax; measured.
 */
function attention({ heads }: DecoderConfig, length: number): number {
  return 3 * heads * length;
}

/** The heap that tensors of a step take, which have different sizes, with the gaps between them; measured. */
const WITH_GAPS = 1.1;

/** A step's activations, including `kept` values per token. */
export function trainingWork(config: DecoderConfig, tokens: number, length: number, kept: number): number {
  return Math.ceil(WITH_GAPS * tokens * (kept + attention(config, length)) * FLOAT_BYTES.F32);
}

/**
 * Activations of a pass over whole sequences without a tape, which holds one layer at a time: its values, one matrix of
 * scores unless they are computed in tiles, and the mask, twice.
 */
export function forwardBytes(config: DecoderConfig, length: number, rows: number): number {
  const scores = config.heads * Math.min(length, UNTILED_TOKENS) + 2 * length;
  return rows * (trainedLayer(config, 0) + scores) * FLOAT_BYTES.F32;
}

/** Rows of the largest pack of sequences that have so many tokens together. */
export const packRows = (length: number, tokens: number): number => Math.max(length, Math.min(PACK_TOKENS, tokens));

/** The same of prompts whose keys and values are kept: all scores exist at once. */
export function promptBytes(config: DecoderConfig, length: number, tokens: number): number {
  return tokens * (trainedLayer(config, length) + attention(config, length)) * FLOAT_BYTES.F32;
}
