import { UserError } from '../../crds/facts/user-error.ts';
import type { Compute } from '../engine/compute.ts';
import { float32 } from '../engine/graph/tensor.ts';
import { LayerSweep } from '../inference/layer-sweep.ts';
import { rowPlaces } from '../model/batch-feeds.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import { layerProgram, NEXT } from '../model/programs/layer.ts';
import { embed } from '../model/weights/embedding.ts';
import { weightFolder } from '../model/weights/stored-weights.ts';

/** Tokens of a text that are checked: the largest states are those of its first tokens. */
const TOKENS = 64;

/**
 * Checks that the hidden states of a quantised emulator, without LoRA, are finite for the beginning of a text. A model
 * of any size runs a layer at a time, as memory may hold other graphs already. Does nothing if the emulator is as
 * stored.
 * @throws UserError that names the first layer after which they are not
 */
export async function checkQuantized(compute: Compute, model: FederatedModel, inputIds: Int32Array): Promise<void> {
  if (!model.quantized) return;
  const { emulator, front } = model.split;
  const layers = [
    ...front.map((layer) => ({ program: () => layerProgram(model, layer, null, compute.provider), fetch: [] })),
    ...emulator.map((layer) => ({
      program: () => layerProgram(model, layer, 'emulator', compute.provider),
      fetch: [NEXT],
    })),
  ];
  const sweep = new LayerSweep(compute, weightFolder(model), layers, model.config.hiddenSize);
  const ids = inputIds.subarray(0, TOKENS);
  const pass = { hidden: embed(model.weights, ids), feeds: rowPlaces([Int32Array.from(ids, (_, row) => row)]) };
  const withoutLora = float32(new Float32Array(model.emulator.layout.size));
  for await (const states of sweep.through([pass], { emulator: withoutLora })) {
    const layer = emulator.find((_, i) => !Array.from(states[i]!.data, Number).every(Number.isFinite));
    if (layer === undefined) continue;
    throw new UserError(`the emulator in 8 bits has hidden states that are NaN or infinite after layer ${layer}`, {
      hint: 'The states of this model are too large for 8 bits: set emulator.weights: AsStored.',
    });
  }
}
