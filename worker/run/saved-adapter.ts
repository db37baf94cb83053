import { existsSync } from 'node:fs';
import { join } from 'node:path';
import Type from 'typebox';
import Value from 'typebox/value';
import type { FedBiOTJobSpec } from '../../crds/types.ts';
import { UserError } from '../../crds/facts/user-error.ts';
import { newestCheckpoint } from '../federation/checkpoint.ts';
import { RoundState } from '../federation/state.ts';
import type { DecoderConfig } from '../model/config/config.ts';
import { loraLayout } from '../model/lora/layout.ts';
import { importPeft } from '../model/lora/peft.ts';
import type { LoraAdapter } from '../model/lora/peft.ts';
import { decodeSafetensors } from '../safetensors/safetensors.ts';
import { splitLayers } from '../model/split.ts';

/** A run's adapter, and the number of rounds it was trained for. */
export interface SavedAdapter {
  readonly adapter: LoraAdapter;
  /** The checkpoint it was read from; null for the adapter of a finished run. */
  readonly checkpoint: string | null;
  /** Rounds it was trained for. */
  readonly rounds: number;
}

const State = Type.Object({ state: RoundState });

/**
 * The adapter of a run: the final one, or that of the newest checkpoint.
 * @throws UserError if the run has neither, or the files are damaged
 */
export async function savedAdapter(root: string, spec: FedBiOTJobSpec, config: DecoderConfig): Promise<SavedAdapter> {
  const { placement, layers: adapterLayers, lora } = spec.adapter;
  // The adapter's layers do not depend on which ones the emulator keeps.
  const { front, tail } = splitLayers({
    layers: config.layers,
    placement,
    adapterLayers,
    layerDropRate: 0,
    selection: 'Uniform',
  });
  const layout = loraLayout(config, [...front, ...tail], lora);
  const finished = join(root, 'adapter');
  if (existsSync(join(finished, 'adapter_model.safetensors'))) {
    const values = importPeft(finished, { spec: lora, layout });
    return { adapter: { spec: lora, layout, values }, checkpoint: null, rounds: spec.federation.rounds };
  }
  const folder = join(root, 'checkpoints');
  const newest = await newestCheckpoint(folder);
  if (newest === null) {
    throw new UserError(`${root} has no adapter yet, and no intact checkpoint`, {
      hint: 'Let the run finish its first round.',
    });
  }
  const path = join(folder, newest.name);
  const bytes = newest.files.get('lora.safetensors') ?? new Uint8Array();
  const { tensors } = decodeSafetensors(bytes, { maxBytes: bytes.byteLength, where: join(path, 'lora.safetensors') });
  const values = new Float32Array(layout.size);
  for (const { name, shape, offset } of layout.slices) {
    const found = tensors.get(`adapter.${name}`);
    if (found === undefined || String(found.shape) !== String(shape)) {
      throw new UserError(`${path} holds no adapter.${name} of shape [${shape.join(', ')}]`, {
        hint: 'The checkpoint belongs to another job.',
      });
    }
    values.set(found.values, offset);
  }
  return {
    adapter: { spec: lora, layout, values },
    checkpoint: newest.name,
    rounds: roundsDone(newest.files.get('state.json'), path),
  };
}

/** Number of rounds whose client updates are included in the adapter of a checkpoint. */
function roundsDone(json: Uint8Array | undefined, path: string): number {
  let saved: unknown;
  try {
    saved = JSON.parse(Buffer.from(json ?? []).toString());
  } catch {
    saved = null;
  }
  if (!Value.Check(State, saved)) throw new UserError(`${path} was written by another version of fedbiot`);
  const { at, round } = saved.state;
  return at === 'Evaluate' || at === 'Checkpoint' || at === 'Finished' ? round : round - 1;
}
