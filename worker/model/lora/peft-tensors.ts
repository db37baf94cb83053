import type { Projection } from '../../../crds/types.ts';
import { UserError } from '../../../crds/facts/user-error.ts';
import { shown } from '../../files/json-value.ts';
import { firstNonFinite } from '../../safetensors/float-formats.ts';
import { float32Tensor, readSafetensorsHeader, readTensor } from '../../safetensors/safetensors.ts';
import type { TensorData } from '../../safetensors/safetensors.ts';
import type { TensorLayout, TensorSlice } from '../../safetensors/tensor-layout.ts';
import type { DecoderProjection } from '../config/projections.ts';
import { CONFIG_FILE } from './peft-config.ts';
import type { PeftConfig } from './peft-config.ts';

/** Maximum number of problems that a message lists. */
const LISTED = 20;

/** Words of the error when an adapter's tensors do not match a layout. */
export interface Fit {
  /** What the tensors must fit. */
  readonly whole: string;
  /** What is wrong with a tensor that the layout does not have. */
  readonly stranger: string;
  readonly hint: string;
}

/** A LoRA vector as PEFT's tensors: B is stored transposed there, as [out, rank]. */
export function peftTensors(layout: TensorLayout, values: Float32Array): TensorData[] {
  return layout.slices.map((slice) => {
    const part = values.subarray(slice.offset, slice.offset + slice.size);
    return float32Tensor(
      peftName(slice),
      peftShape(slice),
      isB(slice) ? transpose(part, rows(slice), columns(slice)) : part,
    );
  });
}

/**
 * The tensors of a PEFT file as a vector of the layout.
 * @throws UserError when they do not match it, or are not finite
 */
export function readPeftTensors(path: string, layout: TensorLayout, config: PeftConfig, fit: Fit): Float32Array {
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

/** The layers and projections that the tensors of a PEFT file are for. */
export function adaptedModules(
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
        hint: 'Only LoRA weights on the projections of decoder layers are supported.',
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

/** Refuses tensors of modules that the config does not select: PEFT would ignore them and compute something else. */
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
