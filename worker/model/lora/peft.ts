import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LoraSpec, Projection } from '../../../crds/types.ts';
import { UserError } from '../../../crds/facts/user-error.ts';
import { shown } from '../../files/json-value.ts';
import type { DecoderConfig } from '../config/config.ts';
import { firstNonFinite } from '../../safetensors/float-formats.ts';
import { parseModelUri } from '../../hub/download-model.ts';
import { projections } from '../config/projections.ts';
import type { DecoderProjection } from '../config/projections.ts';
import { loraLayout } from './layout.ts';
import { readPeftConfig } from './peft-config.ts';
import type { PeftConfig } from './peft-config.ts';
import { float32Tensor, readSafetensorsHeader, readTensor, writeSafetensors } from '../../safetensors/safetensors.ts';
import type { TensorLayout, TensorSlice } from '../../safetensors/tensor-layout.ts';

const CONFIG_FILE = 'adapter_config.json';
const WEIGHTS_FILE = 'adapter_model.safetensors';

/** Problems told of one adapter. */
const LISTED = 20;

/** What a LoRA vector is: the scale and the targets it was trained with, and where its tensors lie. */
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
  const tensors = layout.slices.map((slice) => {
    const slicePart = values.subarray(slice.offset, slice.offset + slice.size);
    return float32Tensor(
      peftName(slice),
      peftShape(slice),
      isB(slice) ? transpose(slicePart, rows(slice), columns(slice)) : slicePart,
    );
  });
  writeSafetensors(join(directory, WEIGHTS_FILE), tensors, { format: 'pt' });
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
 * Reads a PEFT directory into a flat vector of the given layout, to start a training from.
 * @throws UserError unless it is a plain LoRA of the same rank, alpha and targets, on exactly the layout's layers, and
 *   finite
 */
export function importPeft(directory: string, { spec, layout }: Omit<LoraAdapter, 'values'>): Float32Array {
  const configPath = join(directory, CONFIG_FILE);
  const config = readPeftConfig(configPath);
  checkConfig(config, spec, configPath);
  return readValues(join(directory, WEIGHTS_FILE), layout, config, {
    whole: "the job's adapter",
    stranger: 'belongs to no layer or projection the job trains',
    hint: 'adapter.initFrom must have been trained on the same layers and projections of the same model.',
  });
}

/**
 * Reads a PEFT directory made for a model: its config says rank, alpha and dropout, its tensors say which layers and
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
    throw new UserError(`${path} adapts layer ${beyond}, and the model has ${model.layers} layers`, {
      hint: OTHER_MODEL,
    });
  }
  const layout = loraLayout(model, layers, spec);
  return {
    spec,
    layout,
    values: readValues(path, layout, config, { whole: 'the model', stranger: 'has no place in it', hint: OTHER_MODEL }),
  };
}

const OTHER_MODEL = 'Use the adapter with the model it was trained on.';

/** How a layout that tensors do not fit is spoken of. */
interface Fit {
  readonly whole: string;
  readonly stranger: string;
  readonly hint: string;
}

function readValues(path: string, layout: TensorLayout, config: PeftConfig, fit: Fit): Float32Array {
  const { tensors } = readSafetensorsHeader(path);
  refusePassedOver(tensors.keys(), config, path);
  checkTensors(tensors, layout, path, fit);
  const values = new Float32Array(layout.size);
  for (const slice of layout.slices) {
    const name = peftName(slice);
    const entry = tensors.get(name);
    if (entry === undefined) continue;
    const stored = readTensor(path, entry);
    const bad = firstNonFinite('F32', new Uint8Array(stored.buffer));
    if (bad >= 0)
      throw new UserError(`${path}: ${name} is NaN or infinite at element ${bad}`, {
        hint: 'Start from another adapter.',
      });
    values.set(isB(slice) ? transpose(stored, columns(slice), rows(slice)) : stored, slice.offset);
  }
  return values;
}

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
  // A pattern ("all-linear", a regular expression) says nothing by itself: then the tensors decide alone.
  if (targets === null) return;
  const listed = [...new Set(targets.map((target) => target.split('.').at(-1)))].sort().join(', ').slice(0, 200);
  const wanted = [...new Set(spec.targets)].sort().join(', ');
  if (listed !== wanted)
    throw new UserError(`${where}: target_modules are ${listed}, the job's adapter.lora.targets ${wanted}`, {
      hint: 'Make them equal.',
    });
}

function adaptedModules(
  names: Iterable<string>,
  described: readonly DecoderProjection[],
  where: string,
): { layers: number[]; targets: Projection[] } {
  const layers = new Set<number>();
  const targets = new Set<string>();
  for (const name of names) {
    const [, layer, module, target = ''] = LORA_TENSOR.exec(name) ?? [];
    if (!described.some((projection) => projection.name === target && projection.module === module)) {
      throw new UserError(`${where}: ${shown(name)} is not the low-rank weight of a projection`, {
        hint: 'Supported are LoRA weights on the projections of decoder layers.',
      });
    }
    layers.add(Number(layer));
    targets.add(target);
  }
  if (layers.size === 0) throw new UserError(`${where} holds no tensor`, { hint: 'Export the adapter again.' });
  return {
    layers: [...layers].sort((a, b) => a - b),
    targets: described.map(({ name }) => name).filter((name) => targets.has(name)),
  };
}

const LORA_TENSOR = /^base_model\.model\.model\.layers\.(\d+)\.(\w+)\.(\w+)\.lora_[AB]\.weight$/;

/** Refuses tensors of modules that the config does not name: PEFT would leave them out, and compute something else. */
function refusePassedOver(names: Iterable<string>, { adapts }: PeftConfig, where: string): void {
  for (const name of names) {
    const [, layer, module, target] = LORA_TENSOR.exec(name) ?? [];
    if (layer === undefined || adapts(Number(layer), `model.layers.${layer}.${module}.${target}`)) continue;
    throw new UserError(`${where} holds ${name}, a module that ${CONFIG_FILE} does not adapt`, {
      hint: 'target_modules, exclude_modules and layers_to_transform say which modules PEFT adapts: correct them, or export the adapter again.',
    });
  }
}

function checkTensors(
  tensors: ReadonlyMap<string, { shape: readonly number[] }>,
  layout: TensorLayout,
  where: string,
  fit: Fit,
): void {
  const problems: string[] = [];
  for (const slice of layout.slices) {
    const [name, shape] = [peftName(slice), peftShape(slice)];
    const found = tensors.get(name)?.shape;
    if (found === undefined) problems.push(`${name} is missing`);
    else if (found.join() !== shape.join())
      problems.push(`${name} has shape ${shown(found)}, not [${shape.join(', ')}]`);
  }
  const known = new Set(layout.slices.map(peftName));
  for (const name of tensors.keys()) if (!known.has(name)) problems.push(`${shown(name)} ${fit.stranger}`);
  if (problems.length === 0) return;
  const listed =
    problems.length > LISTED ? [...problems.slice(0, LISTED), `… and ${problems.length - LISTED} more`] : problems;
  throw new UserError([`${where} does not fit ${fit.whole}:`, ...listed].join('\n  '), { hint: fit.hint });
}

function peftName({ name }: TensorSlice): string {
  return `base_model.model.model.${name}.weight`;
}

function peftShape(slice: TensorSlice): readonly number[] {
  return isB(slice) ? [columns(slice), rows(slice)] : slice.shape;
}

function layersOf({ slices }: TensorLayout): number[] {
  return [...new Set(slices.map(({ name }) => Number(name.split('.')[1])))].sort((a, b) => a - b);
}

function isB({ name }: TensorSlice): boolean {
  return name.endsWith('.lora_B');
}

function rows({ shape }: TensorSlice): number {
  return shape[0] ?? 0;
}

function columns({ shape }: TensorSlice): number {
  return shape[1] ?? 0;
}

/** [rows, columns] → [columns, rows]. */
function transpose(values: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(values.length);
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) out[c * rows + r] = values[r * columns + c]!;
  return out;
}
