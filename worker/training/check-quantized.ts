import { UserError } from '../../crds/facts/user-error.ts';
import type { Compute } from '../engine/compute.ts';
import { float32 } from '../engine/graph/tensor.ts';
import { LayerSweep } from '../inference/layer-sweep.ts';
import { rowPlaces } from '../model/batch-feeds.ts';
import { withComputeWeights } from '../model/federated-model.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import { layerProgram, NEXT } from '../model/programs/layer.ts';
import { embed } from '../model/weights/embedding.ts';
import { QUANTIZED_FORMATS } from '../model/weights/quantized-formats.ts';
import { formatOf, UNQUANTIZED } from '../model/weights/quantized-index.ts';
import { weightFolder } from '../model/weights/stored-weights.ts';

/** Tokens of a text that are checked: the largest states are those of its first tokens. */
const TOKENS = 64;

/**
 * Checks that the hidden states of a quantised emulator, without LoRA, are finite for the beginning of a text. Does
 * nothing if the emulator is as stored.
 * @throws UserError that names the first layer after which they are not
 */
export async function checkEmulator(compute: Compute, model: FederatedModel, inputIds: Int32Array): Promise<void> {
  const format = formatOf(model.quantized?.emulator ?? UNQUANTIZED);
  if (format === undefined) return;
  const { front, emulator } = model.split;
  const layers = [...front, ...emulator];
  const layer = await firstNotFinite(compute, model, { layers, emulated: emulator }, inputIds);
  // States before the emulator are computed with weights as stored.
  if (layer === null || !emulator.includes(layer)) return;
  throw tooLarge('emulator', QUANTIZED_FORMATS[format].bits, layer, 'set emulator.weights: AsStored');
}

/**
 * The same for the full model in 8 bits. Does nothing if its weights are as stored.
 * @param layers in order from the first: those that the caller's passes compute
 * @param remedy what to do, in words
 * @throws UserError that names the first layer after which they are not
 */
export async function checkComputeWeights(
  compute: Compute,
  model: FederatedModel,
  layers: readonly number[],
  inputIds: Int32Array,
  remedy = 'set model.computeWeights: AsStored',
): Promise<void> {
  if (!model.computeWeights) return;
  const layer = await firstNotFinite(compute, withComputeWeights(model), { layers, emulated: [] }, inputIds);
  if (layer !== null) throw tooLarge('full model', 8, layer, remedy);
}

function tooLarge(what: string, bits: number, layer: number, remedy: string): UserError {
  return new UserError(`the ${what} in ${bits} bits has hidden states that are NaN or infinite after layer ${layer}`, {
    hint: `The states of this model are too large for ${bits} bits: ${remedy}.`,
  });
}

/**
 * The first layer after which states are not finite; null: none. A model of any size runs a layer at a time, as memory
 * may hold other graphs already.
 * @param emulated the layers that are the emulator's
 */
async function firstNotFinite(
  compute: Compute,
  model: FederatedModel,
  { layers, emulated }: { readonly layers: readonly number[]; readonly emulated: readonly number[] },
  inputIds: Int32Array,
): Promise<number | null> {
  const programs = layers.map((layer) => ({
    program: () => layerProgram(model, layer, emulated.includes(layer) ? 'emulator' : null, compute.provider),
    fetch: [NEXT],
  }));
  const sweep = new LayerSweep(compute, weightFolder(model), programs, model.config.hiddenSize);
  const ids = inputIds.subarray(0, TOKENS);
  const pass = { hidden: embed(model.weights, ids), feeds: rowPlaces([Int32Array.from(ids, (_, row) => row)]) };
  const withoutLora = float32(new Float32Array(model.emulator.layout.size));
  for await (const states of sweep.through([pass], { emulator: withoutLora }))
    return layers.find((_, i) => !Array.from(states[i]!.data, Number).every(Number.isFinite)) ?? null;
  return null;
}
