import { join } from 'node:path';
import type { ModelSpec } from '../../crds/types.ts';
import { UserError } from '../../crds/facts/user-error.ts';
import type { ModelDirectory } from './directory.ts';
import { firstNonFinite, FLOAT_BYTES, isFloatDtype, widenToFloat32 } from '../safetensors/float-formats.ts';
import type { FloatDtype } from '../safetensors/float-formats.ts';
import { roundFromFloat32 } from '../safetensors/float-rounding.ts';
import { readSafetensorsHeader } from '../safetensors/safetensors.ts';
import { readRows, streamSafetensors } from '../safetensors/stream.ts';
import type { WeightEntry } from '../safetensors/safetensors.ts';
import type { WeightIndex } from './weights/weight-index.ts';
import { writtenOnce } from './written-file.ts';

/**
 * The format in which a job holds a weight that is stored in `stored`: for float32 the stored one, because float32
 * represents every half-precision value exactly.
 */
export function heldAs(dtype: ModelSpec['dtype'], stored: FloatDtype): FloatDtype {
  return dtype === 'bfloat16' ? 'BF16' : dtype === 'float16' ? 'F16' : stored;
}

/** Whether a job with `dtype` holds all weights as the model stores them. */
export function isHeldAs({ weights }: ModelDirectory, dtype: ModelSpec['dtype']): boolean {
  return [...weights.values()].every((entry) => heldAs(dtype, entry.dtype) === entry.dtype);
}

/**
 * A model whose frozen weights are held in `dtype`. Weights in another format are rounded once, tensor by tensor, into
 * a file under `cache`, named by the model's hash and the dtype, which later runs reuse; the rest of the directory is
 * used as it is. `auto` and `float32` change nothing, as all computation is in float32.
 * @throws UserError when a value is too large for the dtype, the model's files change meanwhile, or the file cannot be
 *   written, or is damaged
 */
export async function withDtype(
  model: ModelDirectory,
  dtype: ModelSpec['dtype'],
  cache: string,
  { signal }: { signal?: AbortSignal } = {},
): Promise<ModelDirectory> {
  if (isHeldAs(model, dtype)) return model;
  const tensors = [...model.weights].map(([name, entry]) => {
    const wanted = heldAs(dtype, entry.dtype);
    return { name, dtype: wanted, shape: entry.shape, chunks: () => rounded(name, entry, wanted, model) };
  });
  const { content: weights, checkUnchanged } = await writtenOnce({
    file: join(cache, `weights-${(await model.sha256()).slice(0, 16)}-${dtype}`, 'model.safetensors'),
    write: (file) => streamSafetensors(file, tensors, { metadata: { format: 'pt' }, ...(signal && { signal }) }),
    read: (file) => indexOf(file, model.weights),
  });
  return { ...model, weights, checkUnchanged };
}

/** The index of the converted file, which is complete: a partial one is never renamed to this name. */
function indexOf(file: string, weights: WeightIndex): WeightIndex {
  const { tensors } = readSafetensorsHeader(file);
  return new Map(
    [...weights].map(([name, { shape }]) => {
      const found = tensors.get(name);
      if (found === undefined || !isFloatDtype(found.dtype) || String(found.shape) !== String(shape))
        throw new UserError(`${file} does not hold ${name} as it was written`);
      return [name, { ...found, dtype: found.dtype, file }];
    }),
  );
}

async function* rounded(
  name: string,
  entry: WeightEntry,
  dtype: FloatDtype,
  model: Pick<ModelDirectory, 'checkUnchanged'>,
): AsyncGenerator<Uint8Array> {
  for await (const piece of readRows(entry)) {
    const values = new Float32Array(piece.byteLength / FLOAT_BYTES[entry.dtype]);
    widenToFloat32(entry.dtype, piece, values);
    const bytes = roundFromFloat32(dtype, values);
    const at = firstNonFinite(dtype, bytes);
    if (at >= 0) {
      throw new UserError(`weight ${name} in ${entry.file} holds ${values[at]}, too large for ${dtype}`, {
        hint: 'Set model.dtype to bfloat16, which has the range of float32, or to auto.',
      });
    }
    yield bytes;
  }
  model.checkUnchanged();
}
