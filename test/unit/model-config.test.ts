import { readFileSync } from 'node:fs';
import t from 'tap';
import { parseDecoderConfig } from '../../worker/model/config/config.ts';
import type { DecoderConfig } from '../../worker/model/config/config.ts';

const family = (name: string): Record<string, unknown> =>
  JSON.parse(readFileSync(new URL(`../fixtures/families/${name}`, import.meta.url), 'utf8'));

/** LLaMA-2-7B as published, in the old form, without fields that later versions added. */
const LLAMA2 = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  torch_dtype: 'float16',
  hidden_act: 'silu',
  hidden_size: 4096,
  intermediate_size: 11008,
  max_position_embeddings: 4096,
  num_attention_heads: 32,
  num_hidden_layers: 32,
  num_key_value_heads: 32,
  pretraining_tp: 1,
  rms_norm_eps: 1e-5,
  rope_scaling: null,
  tie_word_embeddings: false,
  vocab_size: 32000,
};
const QWEN2 = {
  architectures: ['Qwen2ForCausalLM'],
  model_type: 'qwen2',
  hidden_size: 896,
  intermediate_size: 4864,
  max_position_embeddings: 32768,
  max_window_layers: 24,
  num_attention_heads: 14,
  num_hidden_layers: 24,
  num_key_value_heads: 2,
  rms_norm_eps: 1e-6,
  rope_theta: 1000000.0,
  sliding_window: 32768,
  tie_word_embeddings: true,
  torch_dtype: 'bfloat16',
  use_sliding_window: false,
  vocab_size: 151936,
};
const MISTRAL = {
  ...LLAMA2,
  architectures: ['MistralForCausalLM'],
  model_type: 'mistral',
  num_key_value_heads: 8,
  sliding_window: 4096,
};
const LLAMA3_ROPE = {
  rope_type: 'llama3',
  factor: 8,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 8192,
};

const llama2: DecoderConfig = {
  family: 'llama',
  layers: 32,
  hiddenSize: 4096,
  intermediateSize: 11008,
  heads: 32,
  keyValueHeads: 32,
  headDim: 128,
  vocabSize: 32000,
  rmsNormEpsilon: 1e-5,
  rope: { theta: 10_000, scaling: null },
  tiedEmbeddings: false,
  attentionBias: false,
  outputBias: false,
  mlpBias: false,
  slidingWindow: null,
  maxPositions: 4096,
  storedDtype: 'float16',
};

t.test('published configs', async (t) => {
  t.same(parseDecoderConfig(LLAMA2, 'c'), llama2);
  t.same(parseDecoderConfig(MISTRAL, 'c'), { ...llama2, family: 'mistral', keyValueHeads: 8, slidingWindow: 4096 });
  t.match(parseDecoderConfig(QWEN2, 'c'), {
    family: 'qwen2',
    headDim: 64,
    keyValueHeads: 2,
    rope: { theta: 1e6, scaling: null },
    tiedEmbeddings: true,
    attentionBias: true,
    outputBias: false,
    mlpBias: false,
    slidingWindow: null,
    storedDtype: 'bfloat16',
  });
});

t.test('configs as they are published are read, with every field that they have', async (t) => {
  const published: { of: string; config: { num_hidden_layers: number } }[] = JSON.parse(
    readFileSync(new URL('../fixtures/published-configs.json', import.meta.url), 'utf8'),
  );
  for (const { of, config } of published) t.equal(parseDecoderConfig(config, of).layers, config.num_hidden_layers, of);
});

t.test(
  'what switches nothing on is passed over; of two forms of rotary scaling the older counts, as in transformers',
  async (t) => {
    t.same(parseDecoderConfig({ ...LLAMA2, magic: null, more: false, other: {}, lists: [], text: '' }, 'c'), llama2);
    const both = {
      ...LLAMA2,
      rope_parameters: { rope_type: 'default', rope_theta: 5 },
      rope_scaling: { type: 'linear', factor: 2 },
    };
    t.same(parseDecoderConfig(both, 'c').rope, { theta: 10_000, scaling: { kind: 'linear', factor: 2 } });
  },
);

t.test('old and new form of a config are read alike', async (t) => {
  const config = parseDecoderConfig(family('llama3/config.json'), 'new');
  t.same(parseDecoderConfig(family('llama3/config-old.json'), 'old'), config);
  t.same(config.rope, {
    theta: 20000,
    scaling: { kind: 'llama3', factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPositions: 64 },
  });
});

t.test('fields that change what is computed', async (t) => {
  const cases: [string, object, object][] = [
    [
      'LLaMA attention_bias reaches o_proj',
      { ...LLAMA2, attention_bias: true },
      { attentionBias: true, outputBias: true },
    ],
    ['LLaMA mlp_bias', { ...LLAMA2, mlp_bias: true }, { mlpBias: true }],
    ['LLaMA ignores sliding_window', { ...LLAMA2, sliding_window: 16 }, { slidingWindow: null }],
    ['Mistral without a window', { ...MISTRAL, sliding_window: null }, { slidingWindow: null }],
    [
      'Qwen2 window on all layers',
      { ...QWEN2, use_sliding_window: true, max_window_layers: 0, sliding_window: 64 },
      { slidingWindow: 64 },
    ],
    ['Qwen2 window beyond the last layer', { ...QWEN2, use_sliding_window: true }, { slidingWindow: null }],
    [
      'Qwen2 layer_types decide',
      {
        ...QWEN2,
        use_sliding_window: true,
        sliding_window: 8,
        max_window_layers: 24,
        layer_types: Array(24).fill('sliding_attention'),
      },
      { slidingWindow: 8 },
    ],
    ['head_dim of its own', { ...LLAMA2, head_dim: 64 }, { headDim: 64 }],
    ['heads without num_key_value_heads', { ...LLAMA2, num_key_value_heads: undefined }, { keyValueHeads: 32 }],
    ['dtype wins over torch_dtype', { ...LLAMA2, dtype: 'bfloat16' }, { storedDtype: 'bfloat16' }],
    [
      'linear scaling, old form',
      { ...LLAMA2, rope_scaling: { type: 'linear', factor: 2 } },
      { rope: { theta: 1e4, scaling: { kind: 'linear', factor: 2 } } },
    ],
    [
      'default scaling, new form',
      { ...LLAMA2, rope_parameters: { rope_type: 'default', rope_theta: 5 } },
      { rope: { theta: 5, scaling: null } },
    ],
    [
      'llama3 scaling without its original context',
      { ...LLAMA2, rope_scaling: { ...LLAMA3_ROPE, original_max_position_embeddings: undefined } },
      { rope: { scaling: { originalMaxPositions: 4096 } } },
    ],
    [
      'llama3 scaling, with the original context in another field',
      { ...LLAMA2, original_max_position_embeddings: 64, rope_scaling: LLAMA3_ROPE },
      { rope: { scaling: { originalMaxPositions: 64 } } },
    ],
    ['no architectures', { ...LLAMA2, architectures: undefined }, { family: 'llama' }],
  ];
  for (const [name, json, expected] of cases) t.match(parseDecoderConfig(json, 'c'), expected, name);
});

t.test('what is not supported, or not a config, is refused by name', async (t) => {
  const refused: [unknown, RegExp][] = [
    [null, /not a JSON object/],
    [[], /not a JSON object/],
    [{}, /no model_type/],
    [
      { ...LLAMA2, model_type: 'mixtral', architectures: ['MixtralForCausalLM'] },
      /mixtral \(MixtralForCausalLM\) is not supported: mixture of experts/,
    ],
    [{ ...LLAMA2, model_type: 'qwen3' }, /qwen3 .*normalised queries and keys/],
    [{ ...LLAMA2, model_type: 'gemma2' }, /gemma2 .*soft-capped/],
    [{ ...LLAMA2, model_type: 'mamba', architectures: null }, /architecture mamba is not supported$/],
    [{ ...LLAMA2, model_type: 'constructor' }, /architecture constructor/],
    [
      { ...LLAMA2, architectures: ['LlamaForSequenceClassification'] },
      /LlamaForSequenceClassification.*must be LlamaForCausalLM/,
    ],
    [{ ...LLAMA2, hidden_act: 'gelu' }, /hidden_act "gelu" is not supported/],
    [
      { ...LLAMA2, quantization_config: { quant_method: 'gptq', bits: 4 } },
      /quantization_config \(gptq\) is not supported/,
    ],
    [{ ...LLAMA2, num_local_experts: 8 }, /num_local_experts 8 \(mixture of experts\)/],
    [{ ...LLAMA2, use_qk_norm: true }, /use_qk_norm/],
    [{ ...LLAMA2, rope_scaling: { rope_type: 'yarn', factor: 4 } }, /rotary scaling "yarn"/],
    [{ ...LLAMA2, rope_scaling: { type: 'dynamic', factor: 4 } }, /rotary scaling "dynamic"/],
    [{ ...LLAMA2, rope_scaling: { type: 'linear' } }, /rope_scaling: factor is missing/],
    [{ ...LLAMA2, rope_scaling: { type: 'linear', factor: 0 } }, /factor must be a number from 1 to 100000, not 0/],
    [{ ...LLAMA2, rope_scaling: 3 }, /rope_scaling is not an object/],
    [{ ...LLAMA2, rope_scaling: { ...LLAMA3_ROPE, high_freq_factor: 1 } }, /high_freq_factor 1 must be greater/],
    [
      { ...LLAMA2, rope_parameters: { full_attention: { rope_type: 'default' } } },
      /by layer type \(\["full_attention"\]\)/,
    ],
    [{ ...LLAMA2, partial_rotary_factor: 0.5 }, /partial_rotary_factor 0\.5/],
    [{ ...QWEN2, use_sliding_window: true, max_window_layers: 12 }, /sliding window on 12 of 24 layers/],
    [{ ...LLAMA2, torch_dtype: 'float8_e4m3fn' }, /dtype "float8_e4m3fn"/],
    [{ ...LLAMA2, num_hidden_layers: undefined }, /num_hidden_layers is missing/],
    [{ ...LLAMA2, num_hidden_layers: '32' }, /num_hidden_layers must be a positive integer, at most 4096, not "32"/],
    [{ ...LLAMA2, hidden_size: -1 }, /hidden_size must be a positive integer, at most 262144, not -1/],
    [{ ...LLAMA2, vocab_size: 1.5 }, /vocab_size must be a positive integer/],
    [{ ...LLAMA2, rms_norm_eps: 0 }, /rms_norm_eps must be a number from 1e-12 to 1/],
    [{ ...LLAMA2, tie_word_embeddings: 1 }, /tie_word_embeddings must be true or false/],
    [{ ...LLAMA2, num_key_value_heads: 5 }, /num_attention_heads 32 is not a multiple of num_key_value_heads 5/],
    [
      { ...LLAMA2, num_attention_heads: 3, num_key_value_heads: 3 },
      /head_dim must be a positive integer, at most 8192, not 1365\.3/,
    ],
    [{ ...LLAMA2, rope_theta: 1e-300 }, /rope_theta must be a number from 1 to 1000000000000000, not 1e-300/],
    [{ ...LLAMA2, rope_theta: 1e300 }, /rope_theta must be a number from 1 to/],
    [{ ...LLAMA2, rope_parameters: { rope_theta: 0.5 } }, /rope_parameters: rope_theta must be a number from 1 to/],
    [{ ...LLAMA2, rms_norm_eps: 1e-300 }, /rms_norm_eps must be a number from/],
    [
      { ...LLAMA2, num_hidden_layers: 10_000_000 },
      /num_hidden_layers must be a positive integer, at most 4096, not 10000000/,
    ],
    [{ ...LLAMA2, vocab_size: 1e12 }, /vocab_size must be a positive integer, at most 4194304/],
    [{ ...LLAMA2, hidden_size: 2 ** 40 }, /hidden_size must be/],
    [{ ...LLAMA2, num_attention_heads: 2 ** 40 }, /num_attention_heads must be/],
    [{ ...LLAMA2, intermediate_size: 2 ** 40 }, /intermediate_size must be/],
    [{ ...LLAMA2, max_position_embeddings: 2 ** 40 }, /max_position_embeddings must be/],
    [{ ...LLAMA2, head_dim: 2 ** 40 }, /head_dim must be/],
    [{ ...MISTRAL, sliding_window: 2 ** 40 }, /sliding_window must be/],
    [{ ...LLAMA2, embedding_multiplier: 12 }, /the field embedding_multiplier \(12\) is not known/],
    [
      { ...LLAMA2, per_layer_config: { 0: { head_dim: 64 } } },
      /the field per_layer_config \(\{"0":\{"head_dim":64\}\}\) is not known/,
    ],
    [{ ...LLAMA2, rope_interleaved: true }, /the field rope_interleaved \(true\) is not known/],
    [{ ...LLAMA2, attention_dropout: 0.1 }, /attention_dropout 0\.1 is not supported/],
    [
      { ...LLAMA2, rope_scaling: { type: 'linear', factor: 2, attention_factor: 0.5 } },
      /rope_scaling of the kind linear: the field attention_factor \(0\.5\) is not known/,
    ],
    [{ ...LLAMA2, rope_parameters: { rope_type: 'default', mrope_section: [16, 24, 24] } }, /mrope_section/],
    [{ ...LLAMA2, layer_types: ['full_attention'] }, /layer_types \["full_attention"\] is not supported/],
    [{ ...LLAMA2, layer_types: Array(32).fill('sliding_attention') }, /there is no sliding_window/],
    [{ ...LLAMA2, layer_types: Array(32).fill('chunked_attention') }, /layer_types/],
    [{ ...LLAMA2, __proto__: null, magic: 'x'.repeat(10_000) }, /the field magic \("x{119}…\) is not known/],
    [{ ...LLAMA2, head_dim: 7 }, /head_dim 7 is odd/],
  ];
  for (const [json, message] of refused) {
    t.throws(() => parseDecoderConfig(json, 'dir/config.json'), { name: 'UserError', message });
    t.throws(() => parseDecoderConfig(json, 'dir/config.json'), { message: /^dir\/config\.json/ });
  }
  try {
    parseDecoderConfig({ ...LLAMA2, model_type: 'phi3' }, 'c');
    t.fail('phi3 was accepted');
  } catch (error) {
    t.match(error, { hint: /LLaMA 2 and 3, SmolLM2.*Mistral.*Qwen2/ }, 'says what is supported');
  }
});
