import { UserError } from '../../crds/facts/user-error.ts';
import type { Compute } from '../engine/compute.ts';
import { float32 } from '../engine/graph/tensor.ts';
import { rowPlaces } from '../model/batch-feeds.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import { hiddenAfter, hiddenStatesProgram } from '../model/programs/hidden-states.ts';
import { embed } from '../model/weights/embedding.ts';
import { weightFolder } from '../model/weights/stored-weights.ts';

/** Tokens of a text that are checked: the largest states are those of its first tokens. */
const TOKENS = 64;

/**
 * Checks that the hidden states of a quantised emulator, without LoRA, are finite for the beginning of a text. Does
 * nothing if the emulator is as stored.
 * @throws UserError that names the first layer after which they are not
 */
export async function checkQuantized(compute: Compute, model: FederatedModel, inputIds: Int32Array): Promise<void> {
  if (!model.quantized) return;
  const { emulator, front } = model.split;
  const ids = inputIds.subarray(0, TOKENS);
  const program = hiddenStatesProgram(model, 'emulator', emulator, compute.provider);
  const session = await compute.load(program, weightFolder(model));
  const vector = (of: 'adapter' | 'emulator') => float32(new Float32Array(model[of].layout.size));
  const { outputs } = await session.run({
    feeds: {
      hidden: embed(model.weights, ids),
      ...rowPlaces([Int32Array.from(ids, (_, row) => row)]),
      emulator: vector('emulator'),
      ...(front.length > 0 && { adapter: vector('adapter') }),
    },
    fetch: emulator.map(hiddenAfter),
  });
  await session.release();
  const layer = emulator.find((each) => !Array.from(outputs[hiddenAfter(each)]!.data, Number).every(Number.isFinite));
  if (layer === undefined) return;
  throw new UserError(`the emulator in 8 bits has hidden states that are NaN or infinite after layer ${layer}`, {
    hint: 'The states of this model are too large for 8 bits: set emulator.weights: AsStored.',
  });
}
