import type { fieldReader } from './reader.ts';

/** Where a family's projections have biases. */
interface Biases {
  /** q_proj, k_proj and v_proj. */
  readonly attention: boolean;
  /** o_proj. */
  readonly output: boolean;
  readonly mlp: boolean;
}

/** Properties of a family of decoders in config.json, with the defaults of the transformers library. */
export interface FamilyRules {
  /** The class in `architectures`. */
  readonly architecture: string;
  /** Default of max_position_embeddings. */
  readonly maxPositions: number;
  /** Default of num_key_value_heads; null: as many as query heads. */
  readonly keyValueHeads: number | null;
  readonly biases: (read: ReturnType<typeof fieldReader>) => Biases;
  /**
   * The layers to which `sliding_window` applies: none, all, or, with use_sliding_window, those from max_window_layers
   * on.
   */
  readonly slidingWindow: 'never' | 'all-layers' | 'upper-layers';
}

export const FAMILIES = {
  llama: {
    architecture: 'LlamaForCausalLM',
    maxPositions: 2048,
    keyValueHeads: null,
    biases: (read) => {
      const attention = read.flag('attention_bias', false);
      return { attention, output: attention, mlp: read.flag('mlp_bias', false) };
    },
    slidingWindow: 'never',
  },
  mistral: {
    architecture: 'MistralForCausalLM',
    maxPositions: 131072,
    keyValueHeads: 8,
    biases: () => ({ attention: false, output: false, mlp: false }),
    slidingWindow: 'all-layers',
  },
  qwen2: {
    architecture: 'Qwen2ForCausalLM',
    maxPositions: 32768,
    keyValueHeads: null,
    biases: () => ({ attention: true, output: false, mlp: false }),
    slidingWindow: 'upper-layers',
  },
} as const satisfies Readonly<Record<string, FamilyRules>>;

export type Family = keyof typeof FAMILIES;
