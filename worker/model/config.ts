import { UserError } from '../errors.ts';

export type Family = 'llama' | 'mistral' | 'qwen2';

export type RopeScaling =
  | { readonly kind: 'linear'; readonly factor: number }
  | {
      readonly kind: 'llama3';
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      readonly originalMaxPositions: number;
    };

/** What a decoder of the LLaMA family computes; the fields of config.json that matter, checked. */
export interface DecoderConfig {
  readonly family: Family;
  readonly layers: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly heads: number;
  /** Key and value heads; each serves heads / keyValueHeads query heads. */
  readonly keyValueHeads: number;
  readonly headDim: number;
  readonly vocabSize: number;
  readonly rmsNormEpsilon: number;
  readonly rope: { readonly theta: number; readonly scaling: RopeScaling | null };
  /** The output head is the embedding matrix. */
  readonly tiedEmbeddings: boolean;
  /** q_proj, k_proj and v_proj have biases. */
  readonly attentionBias: boolean;
  /** o_proj has a bias too (LLaMA with attention_bias, never Qwen2). */
  readonly outputBias: boolean;
  readonly mlpBias: boolean;
  /** A query sees its own and the slidingWindow - 1 positions before it; null: all before it. */
  readonly slidingWindow: number | null;
  readonly maxPositions: number;
  /** What the config says the weights are stored in; a tensor's own header decides. */
  readonly storedDtype: 'float32' | 'bfloat16' | 'float16';
}

const ARCHITECTURES: Readonly<Record<Family, string>> = {
  llama: 'LlamaForCausalLM',
  mistral: 'MistralForCausalLM',
  qwen2: 'Qwen2ForCausalLM',
};

const SUPPORTED =
  'Supported are decoders of the LLaMA family: LLaMA 2 and 3, SmolLM2 (llama), Mistral (mistral), Qwen2 and Qwen2.5 (qwen2).';

/** What sets well-known relatives apart, for the error message. */
const DIFFERENCES: Readonly<Record<string, string>> = {
  mixtral: 'mixture of experts',
  qwen2_moe: 'mixture of experts',
  qwen3_moe: 'mixture of experts',
  llama4: 'mixture of experts',
  deepseek_v2: 'mixture of experts',
  deepseek_v3: 'mixture of experts',
  qwen3: 'normalised queries and keys',
  smollm3: 'layers without position encoding',
  gemma: 'scaled embeddings and GELU',
  gemma2: 'scaled embeddings, GELU and soft-capped logits',
  gemma3: 'scaled embeddings, GELU, normalised queries and keys',
  gemma3_text: 'scaled embeddings, GELU, normalised queries and keys',
  phi3: 'fused projections',
  gpt2: 'learned positions and LayerNorm',
  gpt_neox: 'parallel residual and LayerNorm',
};

type Json = Readonly<Record<string, unknown>>;

/**
 * Reads the contents of a Hugging Face config.json, with the defaults of the transformers library, in its old form (rope_theta and
 * rope_scaling) or its new one (rope_parameters).
 * @param json the parsed file
 * @param where the file's path, for errors
 * @throws UserError naming the architecture or feature that is not supported, or the field that is missing or wrong
 */
export function parseDecoderConfig(json: unknown, where: string): DecoderConfig {
  if (!isJson(json)) throw new UserError(`${where} is not a JSON object`);
  const family = parseFamily(json, where);
  refuseUnsupportedFeatures(json, where);
  const read = fieldReader(json, where);
  const layers = read.size('num_hidden_layers');
  const hiddenSize = read.size('hidden_size');
  const heads = read.size('num_attention_heads');
  const keyValueHeads = read.size('num_key_value_heads', family === 'mistral' ? 8 : heads);
  const maxPositions = read.size('max_position_embeddings', { llama: 2048, mistral: 131072, qwen2: 32768 }[family]);
  if (heads % keyValueHeads !== 0) {
    throw new UserError(`${where}: num_attention_heads ${heads} is not a multiple of num_key_value_heads ${keyValueHeads}`);
  }
  const headDim = read.size('head_dim', hiddenSize / heads);
  if (headDim % 2 !== 0) throw new UserError(`${where}: head_dim ${headDim} is odd; rotary positions turn pairs of dimensions`);
  const llamaBias = family === 'llama' && read.flag('attention_bias', false);
  return {
    family,
    layers,
    hiddenSize,
    intermediateSize: read.size('intermediate_size'),
    heads,
    keyValueHeads,
    headDim,
    vocabSize: read.size('vocab_size'),
    rmsNormEpsilon: read.positive('rms_norm_eps', 1e-6),
    rope: parseRope(json, maxPositions, where),
    tiedEmbeddings: read.flag('tie_word_embeddings', false),
    attentionBias: llamaBias || family === 'qwen2',
    outputBias: llamaBias,
    mlpBias: family === 'llama' && read.flag('mlp_bias', false),
    slidingWindow: parseSlidingWindow(json, family, layers, where),
    maxPositions,
    storedDtype: parseStoredDtype(json, where),
  };
}

function parseFamily(json: Json, where: string): Family {
  const { model_type: type, architectures } = json;
  if (typeof type !== 'string') throw new UserError(`${where} has no model_type`, { hint: SUPPORTED });
  if (!isFamily(type)) {
    const named = Array.isArray(architectures) && typeof architectures[0] === 'string' ? `${type} (${architectures[0]})` : type;
    const difference = Object.hasOwn(DIFFERENCES, type) ? `: ${DIFFERENCES[type]}` : '';
    throw new UserError(`${where}: architecture ${named} is not supported${difference}`, { hint: SUPPORTED });
  }
  if (
    architectures !== undefined &&
    architectures !== null &&
    !(Array.isArray(architectures) && architectures.includes(ARCHITECTURES[type]))
  ) {
    throw new UserError(
      `${where}: architectures ${JSON.stringify(architectures)} is not supported; a ${type} model must be ${ARCHITECTURES[type]}`,
      {
        hint: SUPPORTED,
      },
    );
  }
  return type;
}

/** Refuses what would change the result in a way the graphs do not compute. */
function refuseUnsupportedFeatures(json: Json, where: string): void {
  const refuse = (feature: string, hint = SUPPORTED) => new UserError(`${where}: ${feature} is not supported`, { hint });
  const { hidden_act: activation = 'silu', quantization_config: quantization = null } = json;
  if (activation !== 'silu') throw refuse(`hidden_act ${JSON.stringify(activation)}`, 'Supported is silu.');
  if (quantization !== null) {
    const method =
      isJson(quantization) && typeof quantization['quant_method'] === 'string' ? ` (${quantization['quant_method']})` : '';
    throw refuse(`quantization_config${method}`, 'Use the model as it was before quantization: float32, bfloat16 or float16.');
  }
  for (const field of ['num_local_experts', 'num_experts', 'n_routed_experts']) {
    if (typeof json[field] === 'number' && json[field] > 1) throw refuse(`${field} ${json[field]} (mixture of experts)`);
  }
  for (const field of ['use_qk_norm', 'qk_norm', 'qk_layernorm']) {
    if (json[field] === true) throw refuse(`${field} (normalised queries and keys)`);
  }
}

/** transformers' rotary parameters: `rope_parameters`, or `rope_theta` beside `rope_scaling` with its kind under rope_type or type. */
function parseRope(json: Json, maxPositions: number, where: string): DecoderConfig['rope'] {
  const name = isJson(json['rope_parameters']) ? 'rope_parameters' : 'rope_scaling';
  const parameters = json[name] ?? {};
  if (!isJson(parameters)) throw new UserError(`${where}: ${name} is not an object`);
  if (Object.values(parameters).some(isJson)) {
    throw new UserError(`${where}: ${name} by layer type (${Object.keys(parameters).join(', ')}) is not supported`, {
      hint: SUPPORTED,
    });
  }
  const within = fieldReader(parameters, `${where}: ${name}`);
  const beside = fieldReader(json, where);
  const theta = within.positive('rope_theta', beside.positive('rope_theta', 10_000));
  const rotated = within.positive('partial_rotary_factor', beside.positive('partial_rotary_factor', 1));
  if (rotated !== 1)
    throw new UserError(`${where}: partial_rotary_factor ${rotated} is not supported`, { hint: 'Supported is 1.' });
  const kind = parameters['rope_type'] ?? parameters['type'] ?? 'default';
  switch (kind) {
    case 'default':
      return { theta, scaling: null };
    case 'linear':
      return { theta, scaling: { kind: 'linear', factor: within.positive('factor') } };
    case 'llama3': {
      const lowFreqFactor = within.positive('low_freq_factor');
      const highFreqFactor = within.positive('high_freq_factor');
      if (highFreqFactor <= lowFreqFactor) {
        throw new UserError(
          `${where}: ${name}: high_freq_factor ${highFreqFactor} must be greater than low_freq_factor ${lowFreqFactor}`,
        );
      }
      const inside = within.size('original_max_position_embeddings', maxPositions);
      const originalMaxPositions = beside.size('original_max_position_embeddings', inside);
      return {
        theta,
        scaling: { kind: 'llama3', factor: within.positive('factor'), lowFreqFactor, highFreqFactor, originalMaxPositions },
      };
    }
    default:
      throw new UserError(`${where}: rotary scaling ${JSON.stringify(kind)} is not supported`, {
        hint: 'Supported are default, linear and llama3.',
      });
  }
}

/** Mistral slides on all layers; Qwen2 only with use_sliding_window, and then from layer max_window_layers on. LLaMA ignores the field. */
function parseSlidingWindow(json: Json, family: Family, layers: number, where: string): number | null {
  if (family === 'llama') return null;
  const read = fieldReader(json, where);
  if (family === 'mistral') return json['sliding_window'] === null ? null : read.size('sliding_window', 4096);
  if (!read.flag('use_sliding_window', false) || json['sliding_window'] === null) return null;
  const types = json['layer_types'];
  const sliding = Array.isArray(types)
    ? types.filter((type) => type === 'sliding_attention').length
    : Math.max(0, layers - read.count('max_window_layers', 28));
  if (sliding === 0) return null;
  if (sliding === layers) return read.size('sliding_window', 4096);
  throw new UserError(`${where}: a sliding window on ${sliding} of ${layers} layers is not supported`, {
    hint: 'Supported is a window on all layers or on none (use_sliding_window: false).',
  });
}

function parseStoredDtype(json: Json, where: string): DecoderConfig['storedDtype'] {
  const dtype = json['dtype'] ?? json['torch_dtype'] ?? 'float32';
  if (dtype === 'float32' || dtype === 'bfloat16' || dtype === 'float16') return dtype;
  throw new UserError(`${where}: dtype ${JSON.stringify(dtype)} is not supported`, {
    hint: 'Supported are float32, bfloat16 and float16.',
  });
}

/** Reads single fields; a field that is absent or null takes its default, and is an error without one. */
function fieldReader(json: Json, where: string) {
  const read = (name: string, byDefault: unknown, accepted: (value: unknown) => boolean, kind: string): unknown => {
    const value = json[name] ?? byDefault;
    if (value === undefined) throw new UserError(`${where}: ${name} is missing`);
    if (!accepted(value)) throw new UserError(`${where}: ${name} must be ${kind}, not ${JSON.stringify(value)}`);
    return value;
  };
  const integer = (least: number) => (value: unknown) => Number.isSafeInteger(value) && Number(value) >= least;
  return {
    size: (name: string, byDefault?: number) => Number(read(name, byDefault, integer(1), 'a positive integer')),
    count: (name: string, byDefault?: number) => Number(read(name, byDefault, integer(0), 'a non-negative integer')),
    positive: (name: string, byDefault?: number) =>
      Number(
        read(name, byDefault, (value) => typeof value === 'number' && Number.isFinite(value) && value > 0, 'a positive number'),
      ),
    flag: (name: string, byDefault: boolean) =>
      read(name, byDefault, (value) => typeof value === 'boolean', 'true or false') === true,
  };
}

function isFamily(type: string): type is Family {
  return Object.hasOwn(ARCHITECTURES, type);
}

function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
