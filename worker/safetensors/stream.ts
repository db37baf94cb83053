import { open, rename, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { UserError } from '../../crds/facts/user-error.ts';
import { systemFailure } from '../files/system-failure.ts';
import { encodeHeader, tensorBytes } from './header.ts';
import type { SafetensorsDtype, TensorEntry } from './header.ts';
import { inFileOrder } from './safetensors.ts';

/** The name, element type and shape of a tensor to be written. */
export interface TensorShape {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
}

/** A tensor that is computed while it is written, so that a file may be larger than memory. */
export interface StreamedTensor extends TensorShape {
  /** Its bytes in order, little-endian, in pieces of any size. */
  chunks(): AsyncIterable<Uint8Array>;
}

/** Tensors that are computed together. */
export interface StreamedGroup {
  readonly tensors: readonly TensorShape[];
  /** The bytes of each in order, little-endian: one piece of any size of each tensor at a time. */
  chunks(): AsyncIterable<readonly Uint8Array[]>;
}

interface StreamOptions {
  readonly metadata?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/**
 * Writes a *.safetensors file piece by piece, with the same bytes as `writeSafetensors`, and atomically: to a temporary
 * file that is synced and renamed.
 * @throws UserError if it cannot be written; the signal's reason on abort. `path` is unchanged then
 */
export async function streamSafetensors(
  path: string,
  tensors: readonly StreamedTensor[],
  options: StreamOptions = {},
): Promise<void> {
  await streamGroups(path, inFileOrder(tensors).map(alone), options);
}

function alone(tensor: StreamedTensor): StreamedGroup {
  return {
    tensors: [tensor],
    chunks: async function* () {
      for await (const chunk of tensor.chunks()) yield [chunk];
    },
  };
}

/** The same with tensors that are computed together, group by group; their places in the file are far apart. */
export async function streamGroups(
  path: string,
  groups: readonly StreamedGroup[],
  { metadata = {}, signal }: StreamOptions = {},
): Promise<void> {
  const sorted = inFileOrder(groups.flatMap(({ tensors }) => tensors)).map((tensor) => ({
    ...tensor,
    bytes: tensorBytes(tensor.dtype, tensor.shape),
  }));
  const header = encodeHeader(sorted, metadata);
  const places = new Map<string, { readonly bytes: number; readonly from: number; written: number }>();
  let end = header.byteLength;
  for (const { name, bytes } of sorted) {
    places.set(name, { bytes, from: end, written: 0 });
    end += bytes;
  }
  const partial = `${path}.partial`;
  try {
    const file = await open(partial, 'w');
    try {
      await writeAt(file, header, 0);
      for (const group of groups) {
        const own = group.tensors.map(({ name }) => ({ name, place: places.get(name)! }));
        for await (const chunks of group.chunks()) {
          signal?.throwIfAborted();
          for (const [i, chunk] of chunks.entries()) {
            const { place } = own[i]!;
            await writeAt(file, chunk, place.from + place.written);
            place.written += chunk.byteLength;
          }
        }
        for (const { name, place } of own) {
          if (place.written !== place.bytes)
            throw new Error(`tensor ${name} produced ${place.written} bytes instead of ${place.bytes}`);
        }
      }
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(partial, path);
  } catch (cause) {
    // If it cannot be removed either, the first error is reported.
    await rm(partial, { force: true }).catch(() => {});
    throw systemFailure(cause, `cannot write ${path}`);
  }
}

async function writeAt(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.byteLength;)
    done += (await file.write(bytes, done, bytes.byteLength - done, position + done)).bytesWritten;
}

/**
 * The bytes of a stored tensor in order, in pieces of whole rows (of the last axis) of about `pieceBytes` each.
 * @throws UserError if the file ends too early
 */
export async function* readRows(
  { file, shape, offset, bytes }: Pick<TensorEntry, 'shape' | 'offset' | 'bytes'> & { readonly file: string },
  pieceBytes = 8 << 20,
): AsyncGenerator<Uint8Array> {
  const rowBytes = bytes / shape.slice(0, -1).reduce((rows, size) => rows * size, 1);
  const step = Math.max(1, Math.floor(pieceBytes / rowBytes)) * rowBytes;
  const handle = await open(file, 'r');
  try {
    for (let done = 0; done < bytes; done += step) {
      const piece = new Uint8Array(Math.min(step, bytes - done));
      for (let filled = 0; filled < piece.byteLength;) {
        const { bytesRead } = await handle.read(piece, filled, piece.byteLength - filled, offset + done + filled);
        if (bytesRead === 0)
          throw new UserError(`${file} ends at byte ${offset + done + filled}: the file is truncated`);
        filled += bytesRead;
      }
      yield piece;
    }
  } finally {
    await handle.close();
  }
}
