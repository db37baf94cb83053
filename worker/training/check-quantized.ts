import { UserError } from '../../crds/facts/user-error.ts';
import type { Compute } from '../engine/compute.ts';
import { float32 } from '../engine/graph/tensor.ts';
import { LayerSweep } from '../inference/layer-sweep.ts';
import { rowPlaces } from '../model/batch-feeds.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import type { Trunk } from '../model/programs/hidden-states.ts';
import { layerProgram, NEXT } from '../model/programs/layer.ts';
import { embed } from '../model/weights/embedding.ts';
import { weightFolder } from '../model/weights/stored-weights.ts';

/** Tokens of a text that are checked: the largest states are those of its first tokens. */
const TOKENS = 64;

/** How messages name a trunk in 8 bits, and the field that quantises it. */
const TRUNKS = {
  teacher: { name: 'full model', field: 'model.computeWeights' },
  emulator: { name: 'emulator', field: 'emulator.weights' },
} as const satisfies Record<Trunk, { name: string; field: string }>;

/**
 * Checks that the hidden states of a quantised trunk, without LoRA, are finite for the beginning of a text. A model of
 * any size runs a layer at a time, as memory may hold other graphs already. Does nothing if passes have the trunk as
 * stored.
 * @throws UserError that names the first layer after which they are not
 */
export async function checkQuantized(
  compute: Compute,
  model: FederatedModel,
  trunk: Trunk,
  inputIds: Int32Array,
): Promise<void> {
  if (!model.quantized || (trunk === 'teacher' && model.quantized.passes !== 'All')) return;
  const { front, [trunk]: own } = model.split;
  const vector = trunk === 'emulator' ? trunk : null;
  const layers = [
    ...front.map((layer) => ({ program: () => layerProgram(model, layer, null, compute.provider), fetch: [] })),
    ...own.map((layer) => ({
      program: () => layerProgram(model, layer, vector, compute.provider),
      fetch: [NEXT],
    })),
  ];
  const sweep = new LayerSweep(compute, weightFolder(model), layers, model.config.hiddenSize);
  const ids = inputIds.subarray(0, TOKENS);
  const pass = { hidden: embed(model.weights, ids), feeds: rowPlaces([Int32Array.from(ids, (_, row) => row)]) };
  const withoutLora = float32(new Float32Array(model.emulator.layout.size));
  for await (const states of sweep.through([pass], { emulator: withoutLora })) {
    const layer = own.find((_, i) => !Array.from(states[i]!.data, Number).every(Number.isFinite));
    if (layer === undefined) continue;
    const { name, field } = TRUNKS[trunk];
    throw new UserError(`the ${name} in 8 bits has hidden states that are NaN or infinite after layer ${layer}`, {
      hint: `The states of this model are too large for 8 bits: set ${field}: AsStored.`,
    });
  }
}
