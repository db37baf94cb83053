import { UserError } from '../../../crds/facts/user-error.ts';
import { shown } from '../../files/json-value.ts';
import type { JsonObject } from '../../files/json-value.ts';
import { readJsonObject, SMALL_FILE_BYTES } from '../../files/read.ts';
import { harmless, refuseUnknownFields, unsupported } from '../../files/known-fields.ts';
import type { KnownFields } from '../../files/known-fields.ts';

export const CONFIG_FILE = 'adapter_config.json';

/**
 * The relevant fields of adapter_config.json in a PEFT directory, checked to be a plain LoRA: W + (alpha / r) · B·A
 * with one alpha and r for all modules.
 */
export interface PeftConfig {
  readonly rank: number;
  readonly alpha: number;
  readonly dropout: number;
  /** Names of modules or their suffixes; null if it is a pattern or absent: then only the tensors decide. */
  readonly targets: readonly string[] | null;
  /** Whether PEFT uses a module's tensors, rather than ignoring them. */
  readonly adapts: (layer: number, module: string) => boolean;
}

/** Fields of PEFT's LoraConfig, with the values of a plain LoRA. */
const FIELDS: KnownFields = {
  peft_type: ['"LORA"'],
  bias: ['"none"'],
  // Some initialisations change the base weights as well, and the adapter is wrong without that change.
  init_lora_weights: ['true', '"gaussian"', '"eva"', '"orthogonal"'],
  // Read below, or compared with the tensors.
  ...harmless('r', 'lora_alpha', 'lora_dropout', 'target_modules', 'exclude_modules', 'layers_to_transform'),
  layers_pattern: ['"layers"', '["layers"]'],
  task_type: ['"CAUSAL_LM"'],
  // Its origin, its initialisation, and sizes of disabled features.
  ...harmless(
    'base_model_name_or_path',
    'revision',
    'inference_mode',
    'auto_mapping',
    'peft_version',
    'megatron_core',
    'eva_config',
    'qalora_group_size',
    'runtime_config',
  ),
  ...unsupported(
    'rank_pattern',
    'alpha_pattern',
    'modules_to_save',
    'fan_in_fan_out',
    'use_dora',
    'use_rslora',
    'use_qalora',
    'use_bdlora',
    'lora_bias',
  ),
  ...unsupported(
    'layer_replication',
    'target_parameters',
    'trainable_token_indices',
    'alora_invocation_tokens',
    'ensure_weight_tying',
    'megatron_config',
  ),
  ...unsupported(
    'loftq_config',
    'corda_config',
    'lora_ga_config',
    'velora_config',
    'monteclora_config',
    'arrow_config',
    'kasa_config',
  ),
};

/** The limits of adapter.lora. */
const MAX_RANK = 1024;
const MAX_ALPHA = 1e6;

/** @throws UserError if it cannot be read, or the adapter is not a plain LoRA */
export function readPeftConfig(path: string): PeftConfig {
  const config = readJsonObject(path, {
    maxBytes: SMALL_FILE_BYTES,
    hint: 'A PEFT adapter is a directory with adapter_config.json and adapter_model.safetensors.',
  });
  if (config['peft_type'] !== 'LORA') {
    throw new UserError(`${path}: peft_type ${shown(config['peft_type'])} is not supported`, {
      hint: 'Only LORA is supported.',
    });
  }
  refuseUnknownFields(
    config,
    FIELDS,
    path,
    'Only plain LoRA is supported: one rank and alpha, on projections of decoder layers.',
  );
  const number = (name: string, byDefault: number, accepted: (value: number) => boolean, kind: string): number => {
    const value = config[name] === undefined ? byDefault : config[name];
    if (typeof value === 'number' && accepted(value)) return value;
    throw new UserError(`${path}: ${name} is ${shown(value)}, not ${kind}`);
  };
  const targets = names(config, 'target_modules', path);
  return {
    // PEFT's own defaults.
    rank: number(
      'r',
      8,
      (r) => Number.isInteger(r) && r >= 1 && r <= MAX_RANK,
      `a positive integer, at most ${MAX_RANK}`,
    ),
    alpha: number(
      'lora_alpha',
      8,
      (alpha) => alpha > 0 && alpha <= MAX_ALPHA,
      `a positive number, at most ${MAX_ALPHA}`,
    ),
    dropout: number('lora_dropout', 0, (rate) => rate >= 0 && rate < 1, 'a number from 0 to 1'),
    targets,
    adapts: adaptedBy(targets, config, path),
  };
}

/** PEFT's selection of modules by lists: a name matches the whole path or its end. */
function adaptedBy(targets: readonly string[] | null, config: JsonObject, path: string): PeftConfig['adapts'] {
  const excluded = names(config, 'exclude_modules', path);
  if (excluded === null && typeof config['exclude_modules'] === 'string' && config['exclude_modules'] !== '') {
    throw new UserError(`${path}: exclude_modules ${shown(config['exclude_modules'])} is not supported`, {
      hint: 'Only a list of names is supported.',
    });
  }
  const layers = config['layers_to_transform'] ?? null;
  const chosen = layers === null ? null : [layers].flat();
  if (chosen && !chosen.every((layer) => Number.isSafeInteger(layer))) {
    throw new UserError(`${path}: layers_to_transform ${shown(layers)} is neither a layer nor a list of layers`);
  }
  const matches = (list: readonly string[], module: string) =>
    list.some((name) => module === name || module.endsWith(`.${name}`));
  return (layer, module) => {
    if (excluded && matches(excluded, module)) return false;
    if (targets && !matches(targets, module)) return false;
    return (
      chosen === null || chosen.length === 0 || targets === null || targets.includes(module) || chosen.includes(layer)
    );
  };
}

function names(config: JsonObject, field: string, path: string): string[] | null {
  const value = config[field] ?? null;
  if (value === null || typeof value === 'string') return null;
  if (Array.isArray(value) && value.every((name) => typeof name === 'string')) return value;
  throw new UserError(`${path}: ${field} ${shown(value)} is neither a list of names nor a pattern`);
}
