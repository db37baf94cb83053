import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LoraSpec } from '../../../crds/types.ts';
import { UserError } from '../../../crds/facts/user-error.ts';
import { parseModelUri } from '../../hub/download-model.ts';
import { readSafetensorsHeader, writeSafetensors } from '../../safetensors/safetensors.ts';
import type { TensorLayout } from '../../safetensors/tensor-layout.ts';
import type { DecoderConfig } from '../config/config.ts';
import { projections } from '../config/projections.ts';
import { loraLayout } from './layout.ts';
import { CONFIG_FILE, readPeftConfig } from './peft-config.ts';
import type { PeftConfig } from './peft-config.ts';
import { adaptedModules, peftTensors, readPeftTensors } from './peft-tensors.ts';

const WEIGHTS_FILE = 'adapter_model.safetensors';

/** A LoRA vector with its scale, its targets and the layout of its tensors. */
export interface LoraAdapter {
  readonly spec: LoraSpec;
  readonly layout: TensorLayout;
  readonly values: Float32Array;
}

/**
 * Writes a LoRA vector as a directory that Python's PEFT loads: B is stored transposed there, as [out, rank].
 * @param baseModel the full model's path or hf:// URI, which tells PEFT where to load it from
 */
export function exportPeft(directory: string, { spec, layout, values }: LoraAdapter, baseModel: string): void {
  const base = baseModel.startsWith('hf://') ? parseModelUri(baseModel) : { name: baseModel, revision: null };
  mkdirSync(directory, { recursive: true });
  writeSafetensors(join(directory, WEIGHTS_FILE), peftTensors(layout, values), { format: 'pt' });
  const config = {
    alpha_pattern: {},
    auto_mapping: null,
    base_model_name_or_path: base.name,
    bias: 'none',
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    layers_pattern: null,
    layers_to_transform: layersOf(layout),
    lora_alpha: spec.alpha,
    lora_dropout: spec.dropout,
    modules_to_save: null,
    peft_type: 'LORA',
    r: spec.rank,
    rank_pattern: {},
    revision: base.revision,
    target_modules: [...spec.targets].sort(),
    task_type: 'CAUSAL_LM',
    use_dora: false,
    use_rslora: false,
  };
  writeFileSync(join(directory, CONFIG_FILE), `${JSON.stringify(config, null, 2)}\n`);
}

/**
 * Reads a PEFT directory into a flat vector of the given layout, as the start of a training.
 * @throws UserError unless it is a plain LoRA of the same rank, alpha and targets, on exactly the layout's layers, and
 *   finite
 */
export function importPeft(directory: string, { spec, layout }: Omit<LoraAdapter, 'values'>): Float32Array {
  const configPath = join(directory, CONFIG_FILE);
  const config = readPeftConfig(configPath);
  checkConfig(config, spec, configPath);
  return readPeftTensors(join(directory, WEIGHTS_FILE), layout, config, {
    whole: "the job's adapter",
    stranger: 'belongs to no layer or projection the job trains',
    hint: 'adapter.initFrom must have been trained on the same layers and projections of the same model.',
  });
}

/**
 * Reads a PEFT directory made for a model: its config has rank, alpha and dropout, its tensors determine layers and
 * projections.
 * @throws UserError unless it is a plain LoRA with finite values, on the same projections of each of its layers, that
 *   fits the model
 */
export function openPeft(directory: string, model: DecoderConfig): LoraAdapter {
  const configPath = join(directory, CONFIG_FILE);
  const config = readPeftConfig(configPath);
  const path = join(directory, WEIGHTS_FILE);
  const { layers, targets } = adaptedModules(readSafetensorsHeader(path).tensors.keys(), projections(model), path);
  const spec = {
    rank: config.rank,
    alpha: config.alpha,
    dropout: config.dropout,
    targets,
  };
  const beyond = layers.find((layer) => layer >= model.layers);
  if (beyond !== undefined) {
    throw new UserError(`${path} adapts layer ${beyond}, but the model has only ${model.layers} layers`, {
      hint: OTHER_MODEL,
    });
  }
  const layout = loraLayout(model, layers, spec);
  return {
    spec,
    layout,
    values: readPeftTensors(path, layout, config, {
      whole: 'the model',
      stranger: 'has no place in it',
      hint: OTHER_MODEL,
    }),
  };
}

const OTHER_MODEL = 'Use the adapter with the model it was trained on.';

/** Refuses an adapter whose rank, alpha or targets are not the job's. */
function checkConfig(config: PeftConfig, spec: LoraSpec, where: string): void {
  const { rank, alpha, targets } = config;
  if (rank !== spec.rank)
    throw new UserError(`${where}: rank r is ${rank}, the job's adapter.lora.rank ${spec.rank}`, {
      hint: 'Make them equal.',
    });
  if (alpha !== spec.alpha) {
    throw new UserError(`${where}: lora_alpha is ${alpha}, the job's adapter.lora.alpha ${spec.alpha}`, {
      hint: 'Make them equal.',
    });
  }
  // A pattern ("all-linear", a regular expression) is not evaluated: then only the tensors decide.
  if (targets === null) return;
  const listed = [...new Set(targets.map((target) => target.split('.').at(-1)))].sort().join(', ').slice(0, 200);
  const wanted = [...new Set(spec.targets)].sort().join(', ');
  if (listed !== wanted)
    throw new UserError(`${where}: target_modules are ${listed}, the job's adapter.lora.targets ${wanted}`, {
      hint: 'Make them equal.',
    });
}

function layersOf({ slices }: TensorLayout): number[] {
  return [...new Set(slices.map(({ name }) => Number(name.split('.')[1])))].sort((a, b) => a - b);
}
