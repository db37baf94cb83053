import { UserError } from '../errors.ts';
import { readJsonObject, shown, SMALL_FILE_BYTES } from '../files/read.ts';

/** adapter_config.json of a PEFT directory, known to be of a plain LoRA: W + (alpha / r) · B·A with one alpha and r for all. */
export type PeftConfig = Readonly<Record<string, unknown>>;

/** Settings that make an adapter mean something else, with the values (as JSON) that leave it a plain LoRA. */
const VARIANTS: readonly (readonly [name: string, plain: readonly string[]])[] = [
  ...['use_dora', 'use_rslora', 'use_qalora', 'use_bdlora', 'lora_bias', 'fan_in_fan_out'].map(
    (name) => [name, ['null', 'false']] as const,
  ),
  ['bias', ['null', '"none"']],
  // Some initialisations change the base weights as well, and the adapter is wrong without that change.
  ['init_lora_weights', ['null', 'true', 'false', '"gaussian"', '"eva"', '"orthogonal"']],
  ...['rank_pattern', 'alpha_pattern'].map((name) => [name, ['null', '{}']] as const),
  ...['modules_to_save', 'layer_replication', 'target_parameters', 'trainable_token_indices'].map(
    (name) => [name, ['null', '[]']] as const,
  ),
];

/** @throws UserError when it cannot be read, or the adapter is anything but plain LoRA */
export function readPeftConfig(path: string): PeftConfig {
  const config = readJsonObject(path, {
    maxBytes: SMALL_FILE_BYTES,
    hint: 'A PEFT adapter is a directory with adapter_config.json and adapter_model.safetensors.',
  });
  const type = config['peft_type'];
  if (type !== 'LORA')
    throw new UserError(`${path}: peft_type ${shown(type)} is not supported`, { hint: 'Supported is LORA.' });
  const variant = VARIANTS.find(([name, plain]) => !plain.includes(JSON.stringify(config[name] ?? null)))?.[0];
  if (variant !== undefined)
    throw new UserError(`${path}: ${variant} ${shown(config[variant])} is not supported`, {
      hint: 'Supported is plain LoRA.',
    });
  return config;
}
