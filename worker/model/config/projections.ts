import type { Projection } from '../../../crds/types.ts';
import type { DecoderConfig } from './config.ts';

/** A linear projection of a decoder layer: y = x·Wᵀ (+ bias), with W stored as [out, in]. */
export interface DecoderProjection {
  readonly name: Projection;
  /** The module of the layer that it belongs to, as in the names of weights. */
  readonly module: 'self_attn' | 'mlp';
  /** Its input: the normalised rows of the attention or of the MLP, the joined heads, or the gated activations. */
  readonly input: 'attention' | 'heads' | 'mlp' | 'gated';
  /** Input features. */
  readonly in: number;
  /** Output features. */
  readonly out: number;
  readonly bias: boolean;
}

/**
 * The projections of each layer of a model, in the order they are computed; those that read the same input are
 * neighbours. Weights, graph, LoRA layout, FLOPs and memory are derived from this description.
 */
export function projections(config: DecoderConfig): DecoderProjection[] {
  const { hiddenSize, intermediateSize, headDim, attentionBias, outputBias, mlpBias } = config;
  const queries = config.heads * headDim;
  const keys = config.keyValueHeads * headDim;
  const attention = { module: 'self_attn', input: 'attention', in: hiddenSize, bias: attentionBias } as const;
  const mlp = { module: 'mlp', input: 'mlp', in: hiddenSize, out: intermediateSize, bias: mlpBias } as const;
  return [
    { name: 'q_proj', ...attention, out: queries },
    { name: 'k_proj', ...attention, out: keys },
    { name: 'v_proj', ...attention, out: keys },
    { name: 'o_proj', module: 'self_attn', input: 'heads', in: queries, out: hiddenSize, bias: outputBias },
    { name: 'gate_proj', ...mlp },
    { name: 'up_proj', ...mlp },
    { name: 'down_proj', module: 'mlp', input: 'gated', in: intermediateSize, out: hiddenSize, bias: mlpBias },
  ];
}

/** The same, grouped by input: the A of a group's LoRA are multiplied with that input in one product. */
export function inputGroups(config: DecoderConfig): DecoderProjection[][] {
  return [...Map.groupBy(projections(config), ({ input }) => input).values()];
}
