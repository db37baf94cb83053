import { open, rename, rm } from 'node:fs/promises';
import { UserError } from '../../crds/facts/user-error.ts';
import { systemFailure } from '../files/system-failure.ts';
import { encodeHeader, tensorBytes } from './header.ts';
import type { SafetensorsDtype, TensorEntry } from './header.ts';
import { inFileOrder } from './safetensors.ts';

/** A tensor that is computed while it is written, so that a file may be larger than memory. */
export interface StreamedTensor {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  /** Its bytes in order, little-endian, in pieces of any size. */
  chunks(): AsyncIterable<Uint8Array>;
}

/**
 * Writes a *.safetensors file piece by piece, with the same bytes as `writeSafetensors`, and atomically: to a temporary
 * file that is synced and renamed.
 * @throws UserError if it cannot be written; the signal's reason on abort. `path` is unchanged then
 */
export async function streamSafetensors(
  path: string,
  tensors: readonly StreamedTensor[],
  { metadata = {}, signal }: { metadata?: Readonly<Record<string, string>>; signal?: AbortSignal } = {},
): Promise<void> {
  const sorted = inFileOrder(tensors).map((tensor) => ({ tensor, bytes: tensorBytes(tensor.dtype, tensor.shape) }));
  const partial = `${path}.partial`;
  try {
    const file = await open(partial, 'w');
    try {
      const entries = sorted.map(({ tensor: { name, dtype, shape }, bytes }) => ({ name, dtype, shape, bytes }));
      await file.writeFile(encodeHeader(entries, metadata));
      for (const { tensor, bytes } of sorted) {
        let written = 0;
        for await (const chunk of tensor.chunks()) {
          signal?.throwIfAborted();
          await file.writeFile(chunk);
          written += chunk.byteLength;
        }
        if (written !== bytes) throw new Error(`tensor ${tensor.name} produced ${written} bytes instead of ${bytes}`);
      }
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(partial, path);
  } catch (cause) {
    await rm(partial, { force: true });
    throw systemFailure(cause, `cannot write ${path}`);
  }
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
