import { isRecord } from '../../../crds/json-schema/node.ts';
import { UserError } from '../../../crds/facts/user-error.ts';
import { shown } from '../../files/json-value.ts';
import type { JsonObject } from '../../files/json-value.ts';
import { CONFIG_FIELDS, SUPPORTED, UNKNOWN } from './fields.ts';
import { FAMILIES } from './families.ts';
import type { Family, FamilyRules } from './families.ts';
import { fieldReader } from './reader.ts';
import { parseRope } from './rope.ts';
import type { Rope } from './rope.ts';
import { parseSlidingWindow } from './window.ts';
import { refuseUnknownFields } from '../../files/known-fields.ts';

/** The computation of a decoder of the LLaMA family: the relevant fields of config.json, checked. */
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
  readonly rope: Rope;
  /** Whether the output head is the embedding matrix. */
  readonly tiedEmbeddings: boolean;
  /** Whether q_proj, k_proj and v_proj have biases. */
  readonly attentionBias: boolean;
  /** Whether o_proj has a bias too (LLaMA with attention_bias, never Qwen2). */
  readonly outputBias: boolean;
  readonly mlpBias: boolean;
  /** A query sees its own and the slidingWindow - 1 positions before it; null: all before it. */
  readonly slidingWindow: number | null;
  readonly maxPositions: number;
  /** The dtype of the weights according to the config; the headers of the tensors take precedence. */
  readonly storedDtype: 'float32' | 'bfloat16' | 'float16';
}

/** How well-known related architectures differ, for the error message. */
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

/**
 * Reads the contents of a Hugging Face config.json, with the defaults of the transformers library, in its old form
 * (rope_theta and rope_scaling) or its new one (rope_parameters).
 * @param json the parsed file
 * @param where the file's path, for errors
 * @throws UserError naming the architecture or feature that is not supported, or the field that is missing or wrong
 */
export function parseDecoderConfig(json: unknown, where: string): DecoderConfig {
  if (!isRecord(json)) throw new UserError(`${where} is not a JSON object`);
  const family = parseFamily(json, where);
  const rules: FamilyRules = FAMILIES[family];
  refuseUnsupportedFeatures(json, where);
  refuseUnknownFields(json, CONFIG_FIELDS, where, UNKNOWN);
  const read = fieldReader(json, where);
  const layers = read.size('num_hidden_layers');
  const hiddenSize = read.size('hidden_size');
  const heads = read.size('num_attention_heads');
  const keyValueHeads = read.size(
    'num_key_value_heads',
    json['num_key_value_heads'] === undefined ? (rules.keyValueHeads ?? heads) : heads,
  );
  const maxPositions = read.size('max_position_embeddings', rules.maxPositions);
  if (heads % keyValueHeads !== 0) {
    throw new UserError(
      `${where}: num_attention_heads ${heads} is not a multiple of num_key_value_heads ${keyValueHeads}`,
    );
  }
  const headDim = read.size('head_dim', hiddenSize / heads);
  if (headDim % 2 !== 0)
    throw new UserError(`${where}: head_dim ${headDim} is odd; rotary embeddings rotate pairs of dimensions`);
  const biases = rules.biases(read);
  return {
    family,
    layers,
    hiddenSize,
    intermediateSize: read.size('intermediate_size'),
    heads,
    keyValueHeads,
    headDim,
    vocabSize: read.size('vocab_size'),
    rmsNormEpsilon: read.between('rms_norm_eps', 1e-12, 1, 1e-6),
    rope: parseRope(json, maxPositions, where),
    tiedEmbeddings: read.flag('tie_word_embeddings', false),
    attentionBias: biases.attention,
    outputBias: biases.output,
    mlpBias: biases.mlp,
    slidingWindow: parseSlidingWindow(json, rules.slidingWindow, layers, where),
    maxPositions,
    storedDtype: parseStoredDtype(json, where),
  };
}

function parseFamily(json: JsonObject, where: string): Family {
  const { model_type: type, architectures } = json;
  if (typeof type !== 'string') throw new UserError(`${where} has no model_type`, { hint: SUPPORTED });
  if (!isFamily(type)) {
    const named =
      Array.isArray(architectures) && typeof architectures[0] === 'string'
        ? `${type.slice(0, 80)} (${architectures[0].slice(0, 80)})`
        : type.slice(0, 80);
    const difference = Object.hasOwn(DIFFERENCES, type) ? `: ${DIFFERENCES[type]}` : '';
    throw new UserError(`${where}: architecture ${named} is not supported${difference}`, { hint: SUPPORTED });
  }
  if (
    architectures !== undefined &&
    architectures !== null &&
    !(Array.isArray(architectures) && architectures.includes(FAMILIES[type].architecture))
  ) {
    throw new UserError(
      `${where}: architectures ${shown(architectures)} is not supported; a ${type} model must be ${FAMILIES[type].architecture}`,
      {
        hint: SUPPORTED,
      },
    );
  }
  return type;
}

/** Refuses settings that would change the result in a way that the graphs do not compute. */
function refuseUnsupportedFeatures(json: JsonObject, where: string): void {
  const refuse = (feature: string, hint = SUPPORTED) =>
    new UserError(`${where}: ${feature} is not supported`, { hint });
  const { hidden_act: activation = 'silu', quantization_config: quantization = null } = json;
  if (activation !== 'silu') throw refuse(`hidden_act ${shown(activation)}`, 'Only silu is supported.');
  if (quantization !== null) {
    const method =
      isRecord(quantization) && typeof quantization['quant_method'] === 'string'
        ? ` (${quantization['quant_method']})`
        : '';
    throw refuse(
      `quantization_config${method}`,
      'Use the model as it was before quantization: float32, bfloat16 or float16.',
    );
  }
  for (const field of ['num_local_experts', 'num_experts', 'n_routed_experts']) {
    if (typeof json[field] === 'number' && json[field] > 1)
      throw refuse(`${field} ${json[field]} (mixture of experts)`);
  }
  for (const field of ['use_qk_norm', 'qk_norm', 'qk_layernorm']) {
    if (json[field] === true) throw refuse(`${field} (normalised queries and keys)`);
  }
}

function parseStoredDtype(json: JsonObject, where: string): DecoderConfig['storedDtype'] {
  const dtype = json['dtype'] ?? json['torch_dtype'] ?? 'float32';
  if (dtype === 'float32' || dtype === 'bfloat16' || dtype === 'float16') return dtype;
  throw new UserError(`${where}: dtype ${shown(dtype)} is not supported`, {
    hint: 'Only float32, bfloat16 and float16 are supported.',
  });
}

function isFamily(type: string): type is Family {
  return Object.hasOwn(FAMILIES, type);
}
