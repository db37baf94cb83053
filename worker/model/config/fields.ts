import { harmless } from '../../files/known-fields.ts';
import type { KnownFields } from '../../files/known-fields.ts';

export const SUPPORTED =
  'Only decoders of the LLaMA family are supported: LLaMA 2 and 3, SmolLM2 (llama), Mistral (mistral), Qwen2 and Qwen2.5 (qwen2).';

/** Hint for an unknown field. */
export const UNKNOWN =
  'Its effect on the result is unknown. If it has none, remove the field; otherwise use a model without it.';

/**
 * Defaults of generation in transformers. Old versions saved them in config.json, where newer ones ignore them.

 */
// prettier-ignore
export const GENERATION_FIELDS = [
  'max_length', 'max_new_tokens', 'min_length', 'min_new_tokens', 'early_stopping', 'max_time', 'stop_strings', 'do_sample', 'num_beams',
  'num_beam_groups', 'use_mtp', 'use_cache', 'cache_implementation', 'cache_config', 'max_cache_len', 'return_legacy_cache', 'penalty_alpha',
  'dola_layers', 'temperature', 'top_k', 'top_p', 'min_p', 'top_h', 'typical_p', 'epsilon_cutoff', 'eta_cutoff', 'diversity_penalty',
  'repetition_penalty', 'encoder_repetition_penalty', 'length_penalty', 'no_repeat_ngram_size', 'bad_words_ids', 'force_words_ids',
  'renormalize_logits', 'constraints', 'forced_bos_token_id', 'forced_eos_token_id', 'remove_invalid_values',
  'exponential_decay_length_penalty', 'suppress_tokens', 'begin_suppress_tokens', 'forced_decoder_ids', 'sequence_bias', 'token_healing',
  'guidance_scale', 'low_memory', 'watermarking_config', 'num_return_sequences', 'output_attentions', 'output_hidden_states', 'output_scores',
  'output_logits', 'return_dict_in_generate', 'pad_token_id', 'bos_token_id', 'eos_token_id', 'encoder_no_repeat_ngram_size',
  'decoder_start_token_id', 'is_assistant', 'num_assistant_tokens', 'num_assistant_tokens_schedule', 'assistant_confidence_threshold',
  'prompt_lookup_num_tokens', 'max_matching_ngram_size', 'assistant_early_exit', 'assistant_lookbehind', 'target_lookbehind',
  'assistant_ensemble_weight', 'speculation_type', 'compile_config', 'disable_compile', 'continuous_batching_config', 'prefill_chunk_size',
  '_from_model_config', 'transformers_version', 'generation_kwargs',
] as const;

/** Fields that config.json of a supported model may have. */
// prettier-ignore
export const CONFIG_FIELDS: KnownFields = {
  // Read by parseDecoderConfig, which refuses unsupported values.
  ...harmless(
    'model_type', 'architectures', 'vocab_size', 'hidden_size', 'intermediate_size', 'num_hidden_layers', 'num_attention_heads',
    'num_key_value_heads', 'head_dim', 'hidden_act', 'max_position_embeddings', 'rms_norm_eps', 'tie_word_embeddings', 'attention_bias',
    'mlp_bias', 'rope_theta', 'rope_scaling', 'rope_parameters', 'partial_rotary_factor', 'original_max_position_embeddings', 'sliding_window',
    'use_sliding_window', 'max_window_layers', 'layer_types', 'dtype', 'torch_dtype', 'quantization_config',
  ),
  // One expert is no mixture.
  num_local_experts: ['1', '0'],
  num_experts: ['1', '0'],
  n_routed_experts: ['1', '0'],
  // Adapters are trained without dropout in the model, as in inference.
  attention_dropout: ['0'],
  hidden_dropout: ['0'],
  resid_pdrop: ['0'],
  embd_pdrop: ['0'],
  is_decoder: ['true'],
  chunk_size_feed_forward: ['0'],
  // Origin and initialisation of the model, options of transformers, and other kinds of models.
  ...harmless(
    '_name_or_path', '_model_name_or_path', '_commit_hash', 'name_or_path', 'auto_map', 'initializer_range', 'pretraining_tp', 'return_dict',
    'torchscript', 'use_bfloat16', 'tf_legacy_loss', 'id2label', 'label2id', 'num_labels', 'problem_type', 'finetuning_task',
    'task_specific_params', 'prefix', 'tokenizer_class', 'unk_token_id', 'sep_token_id', 'cls_token_id', 'mask_token_id', 'attn_implementation',
    '_attn_implementation', '_attn_implementation_internal', '_attn_implementation_autoset', '_flash_attn_2_enabled', 'use_flash_attn',
    'keys_to_ignore_at_inference', 'max_sequence_length', 'model_max_length', 'tokenizer_model_max_length', 'tokenizer_padding_side',
    'transformers.js_config', 'is_llama_config', 'unsloth_fixed', 'unsloth_version', 'neftune_noise_alpha', 'gradient_checkpointing',
    'freeze_mm_mlp_adapter', 'base_model_tp_plan', 'base_model_pp_plan',
  ),
  ...harmless(...GENERATION_FIELDS),
};
