import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { UserError } from '../../crds/facts/user-error.ts';
import { fileState, isUnchanged, sameContent } from '../files/file-state.ts';
import type { FileState } from '../files/file-state.ts';
import { newSha256 } from '../files/sha256.ts';
import { systemFailure } from '../files/system-failure.ts';
import { firstNonFinite, FLOAT_BYTES, isFloatDtype } from './float-formats.ts';
import type { FloatDtype } from './float-formats.ts';
import { readSafetensorsHeader } from './safetensors.ts';

/** What one pass over a *.safetensors file finds out. */
export interface FileContent {
  /** SHA-256 (hex) of the file. */
  readonly sha256: string;
  /** F32, BF16 and F16 tensors that hold NaN or infinity: name → flat index of the first such element. */
  readonly nonFinite: Readonly<Record<string, number>>;
}

/** Small enough for a processor's cache: a piece is hashed and scanned after it was read. */
const PIECE_BYTES = 1 << 20;

/** Consecutive bytes of a file, of one float tensor or of anything else. */
interface Piece {
  readonly offset: number;
  readonly bytes: number;
  readonly of: { readonly name: string; readonly dtype: FloatDtype; readonly first: number } | null;
}

/**
 * Reads a file once, from its beginning to its end, hashes it and looks for values that are not finite. A file whose
 * header is not usable is only hashed.
 * @param state the state in which the caller found the file
 * @throws UserError if the file is not in that state before and after it is read, or cannot be read; the signal's
 * reason on abort
 */
export async function readContent(path: string, state: FileState, signal?: AbortSignal): Promise<FileContent> {
  const hash = newSha256();
  const nonFinite: Record<string, number> = {};
  try {
    const handle = await open(path, 'r');
    try {
      requireSame(path, state, handle);
      for await (const [{ of }, bytes] of readPieces(handle, path, Number(state.size))) {
        signal?.throwIfAborted();
        hash.update(bytes);
        if (of === null || Object.hasOwn(nonFinite, of.name)) continue;
        const found = firstNonFinite(of.dtype, bytes);
        if (found >= 0) nonFinite[of.name] = of.first + found;
      }
      requireSame(path, state, handle);
    } finally {
      await handle.close();
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw systemFailure(error, `cannot read ${path}`);
  }
  return { sha256: hash.digest('hex'), nonFinite };
}

/** @throws UserError unless the open file is in this state */
function requireSame(path: string, state: FileState, { fd }: FileHandle): void {
  if (!sameContent(state, fileState(fd))) throw changedWhile('read', path);
}

/** @throws UserError if a file is no longer in the state in which it was found, by absolute path */
export function requireUnchanged(states: ReadonlyMap<string, FileState>): void {
  for (const [path, state] of states) if (!isUnchanged(path, state)) throw changedWhile('used', path);
}

/** The error for a file of the model that another program changed. */
function changedWhile(what: 'read' | 'used', path: string): UserError {
  return new UserError(`${path} was changed while it was ${what}`, {
    hint: 'Wait until no program writes to the model’s files, and run again; an interrupted run continues with --resume if the model is the same.',
  });
}

/** Reads the next piece while the caller works on the last one, whose bytes are valid until the next iteration. */
async function* readPieces(handle: FileHandle, path: string, size: number): AsyncGenerator<[Piece, Uint8Array]> {
  const buffers = [new Uint8Array(PIECE_BYTES), new Uint8Array(PIECE_BYTES)] as const;
  let before: { piece: Piece; bytes: Promise<Uint8Array> } | null = null;
  let turn = 0;
  for (const piece of piecesOf(path, size)) {
    const bytes = readWhole(handle, path, piece, buffers[turn++ % 2]!);
    // A failure is reported when the piece is awaited, if nothing fails before.
    bytes.catch(() => {});
    if (before !== null) yield [before.piece, await before.bytes];
    before = { piece, bytes };
  }
  if (before !== null) yield [before.piece, await before.bytes];
}

async function readWhole(handle: FileHandle, path: string, piece: Piece, buffer: Uint8Array): Promise<Uint8Array> {
  const { offset, bytes } = piece;
  for (let done = 0; done < bytes;) {
    const { bytesRead } = await handle.read(buffer, done, bytes - done, offset + done);
    if (bytesRead === 0) throw changedWhile('read', path);
    done += bytesRead;
  }
  return buffer.subarray(0, bytes);
}

/** The pieces of a file in order, without gaps: tensors cover all that follows the header. */
function* piecesOf(path: string, size: number): Generator<Piece> {
  const tensors = [...tensorsIn(path)].sort(([, a], [, b]) => a.offset - b.offset);
  yield* split(0, tensors[0]?.[1].offset ?? size, null);
  for (const [name, { dtype, offset, bytes }] of tensors)
    yield* split(offset, bytes, isFloatDtype(dtype) ? { name, dtype } : null);
}

function* split(offset: number, bytes: number, of: { name: string; dtype: FloatDtype } | null): Generator<Piece> {
  for (let done = 0; done < bytes; done += PIECE_BYTES) {
    const first = of === null ? 0 : done / FLOAT_BYTES[of.dtype];
    yield { offset: offset + done, bytes: Math.min(PIECE_BYTES, bytes - done), of: of && { ...of, first } };
  }
}

function tensorsIn(path: string): ReturnType<typeof readSafetensorsHeader>['tensors'] {
  try {
    return readSafetensorsHeader(path).tensors;
  } catch (error) {
    if (error instanceof UserError) return new Map();
    throw error;
  }
}
