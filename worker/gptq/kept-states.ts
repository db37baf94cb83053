import { existsSync } from 'node:fs';
import { UserError } from '../../crds/facts/user-error.ts';
import type { Compute } from '../engine/compute.ts';
import { float32 } from '../engine/graph/tensor.ts';
import type { LayerStates } from '../inference/calibration.ts';
import { readSafetensorsHeader, readTensor } from '../safetensors/safetensors.ts';
import { streamSafetensors } from '../safetensors/stream.ts';

/** The states of a calibration before a layer, in a *.safetensors file: one that was stopped goes on there. */
export class KeptStates {
  readonly #file: string;
  readonly #shapes: readonly (readonly [tokens: number, hidden: number])[];

  /** @param shapes of each batch's states */
  constructor(file: string, shapes: readonly (readonly [tokens: number, hidden: number])[]) {
    this.#file = file;
    this.#shapes = shapes;
  }

  /** Null if the file is missing or damaged, or holds the states of other batches. */
  read(): LayerStates | null {
    if (!existsSync(this.#file)) return null;
    try {
      const { tensors, metadata } = readSafetensorsHeader(this.#file);
      const entries = this.#shapes.flatMap((shape, batch) => {
        const entry = tensors.get(nameOf(batch));
        return entry && String(entry.shape) === String(shape) ? [entry] : [];
      });
      if (entries.length < this.#shapes.length) return null;
      const hidden = (batch: number) => float32(readTensor(this.#file, entries[batch]!), this.#shapes[batch]);
      return { layer: Number(metadata['layer']), hidden };
    } catch (error) {
      if (error instanceof UserError) return null;
      throw error;
    }
  }

  /**
   * Writes the states before a layer, whole or not at all, in place of earlier ones.
   * @param variables of the compute process, one for each batch
   * @throws UserError if the file cannot be written; the signal's reason on abort
   */
  async write(compute: Compute, layer: number, variables: readonly string[], signal?: AbortSignal): Promise<void> {
    const tensors = variables.map((variable, batch) => ({
      name: nameOf(batch),
      dtype: 'F32' as const,
      shape: this.#shapes[batch]!,
      chunks: async function* () {
        const { buffer, byteOffset, byteLength } = (await compute.read(variable)).data;
        yield new Uint8Array(buffer, byteOffset, byteLength);
      },
    }));
    await streamSafetensors(this.#file, tensors, { metadata: { layer: String(layer) }, ...(signal && { signal }) });
  }
}

const nameOf = (batch: number) => `states.${batch}`;
