import { closeSync, constants, fstatSync, lstatSync, openSync, readlinkSync, readSync, realpathSync } from 'node:fs';
import { isRecord } from '../../crds/json-schema/node.ts';
import { errorMessage, UserError } from '../../crds/facts/user-error.ts';
import { unable } from './system-failure.ts';
import type { JsonObject } from './json-value.ts';
import { HEAD_BYTES, kindOf } from './kind.ts';

/** Maximum size of a small settings file; real ones have a few kilobytes. */
export const SMALL_FILE_BYTES = 16 << 20;

export interface ReadOptions {
  /** A larger file is refused without reading it. */
  readonly maxBytes: number;
  /** Hints for a missing file, and for one that is too large. */
  readonly hint?: string;
  readonly tooLarge?: string;
}

/**
 * Opens a file for reading, calls `use` with its descriptor and size, and closes it.
 * @throws UserError if the file does not exist, is not a regular file (a folder, a pipe, a broken link), or cannot be
 * read
 */
export function withInput<T>(
  path: string,
  use: (fd: number, bytes: number) => T,
  { hint }: { hint?: string | undefined } = {},
): T {
  let fd: number;
  try {
    // Does not wait for a writer if the file is a pipe.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    throw notReadable(path, cause, hint);
  }
  try {
    const found = fstatSync(fd);
    if (found.isDirectory())
      throw new UserError(`${path} is a folder, not a file`, { ...(hint !== undefined && { hint }) });
    if (!found.isFile())
      throw new UserError(`${path} is not a regular file`, { hint: 'Give a file, not a pipe or a device.' });
    return use(fd, found.size);
  } catch (cause) {
    throw cause instanceof Error && 'syscall' in cause ? notReadable(path, cause, hint) : cause;
  } finally {
    closeSync(fd);
  }
}

/** Whether a file, a folder or a link of this name exists; the link may be broken. */
export function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

/**
 * The absolute path of a file, with symbolic links resolved.
 * @throws UserError if the file does not exist
 */
export function resolveInput(path: string, hint?: string): string {
  try {
    return realpathSync(path);
  } catch (cause) {
    throw notReadable(path, cause, hint);
  }
}

/**
 * The bytes [position, position + length) of an open file.
 * @throws UserError if the file ends earlier
 */
export function readFully(fd: number, position: number, length: number, path: string): Buffer<ArrayBuffer> {
  const out = Buffer.allocUnsafeSlow(length);
  for (let done = 0; done < length;) {
    const read = readSync(fd, out, done, Math.min(length - done, 1 << 30), position + done);
    if (read === 0) {
      throw new UserError(
        `${path} ends at byte ${position + done}, ${length - done} bytes too early: the file is truncated`,
      );
    }
    done += read;
  }
  return out;
}

/** The first bytes of an open file, from which its kind is recognised. */
export function readHead(fd: number, bytes: number, path: string): Buffer<ArrayBuffer> {
  return readFully(fd, 0, Math.min(bytes, HEAD_BYTES), path);
}

/**
 * Reads a whole file.
 * @throws UserError as `withInput`, or if it is larger than `maxBytes`
 */
export function readInput(path: string, { maxBytes, hint, tooLarge }: ReadOptions): Buffer<ArrayBuffer> {
  return withInput(
    path,
    (fd, bytes) => {
      if (bytes > maxBytes) {
        const message = `${path} has ${bytes} bytes, more than the limit of ${maxBytes} for such a file`;
        throw new UserError(message, { ...(tooLarge !== undefined && { hint: tooLarge }) });
      }
      return readFully(fd, 0, bytes, path);
    },
    { hint },
  );
}

/**
 * Reads a text file; `format` names the expected format.
 * @throws UserError as `readInput`, or if it is not UTF-8; names the actual kind if the first bytes show it
 */
export function readText(path: string, format: string, options: ReadOptions): string {
  const bytes = readInput(path, options);
  const kind = kindOf(bytes, 'text');
  if (kind) throw new UserError(`${path} is ${kind.what}, not ${format}`, { hint: kind.hint });
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new UserError(`${path} is not text in UTF-8`, { hint: 'Save it as UTF-8.', cause });
  }
}

/**
 * Reads a JSON file.
 * @throws UserError as `readText`, or if it is not JSON
 */
export function readJson(path: string, options: ReadOptions): unknown {
  const text = readText(path, 'JSON', options);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new UserError(`${path} is not JSON: ${errorMessage(cause)}`, { cause });
  }
}

/** @throws UserError as `readJson`, or if it does not contain an object */
export function readJsonObject(path: string, options: ReadOptions): JsonObject {
  const value = readJson(path, options);
  if (isRecord(value)) return value;
  throw new UserError(`${path} does not hold a JSON object`);
}

function notReadable(path: string, cause: unknown, hint: string | undefined): UserError {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  const explained = code === 'ENOENT' ? absent(path, hint) : refused(code);
  if (explained === null) return unable(`cannot read ${path}`, cause, hint);
  const [what, remedy] = explained;
  return new UserError(`${path} ${what}`, { ...(remedy !== undefined && { hint: remedy }), cause });
}

function absent(path: string, hint: string | undefined): [what: string, hint: string | undefined] {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()) return ['is missing', hint];
  return [
    `is a link to ${readlinkSync(path)}, which does not exist`,
    'Copy the folder with what its links point to (cp -rL), or download it again.',
  ];
}

/** Messages that are specific to reading; other errors have the general message. */
function refused(code: unknown): [what: string, hint: string | undefined] | null {
  switch (code) {
    case 'EACCES':
    case 'EPERM':
      return ['may not be read by this user', 'Give read permission to the file and to the folders above it.'];
    case 'ENOTDIR':
      return ['is missing: a part of the path is a file, not a folder', undefined];
    case 'ELOOP':
      return ['is a link that leads to itself', 'Copy or download the file again.'];
    default:
      return null;
  }
}
