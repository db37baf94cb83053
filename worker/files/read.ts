import { closeSync, constants, fstatSync, lstatSync, openSync, readlinkSync, readSync, realpathSync } from 'node:fs';
import { isRecord } from '../../crds/json-schema/node.ts';
import { errorMessage, UserError } from '../../crds/facts/user-error.ts';
import { unable } from './system-failure.ts';
import type { JsonObject } from './json-value.ts';
import { HEAD_BYTES, kindOf } from './kind.ts';

/** Most bytes of a small file of settings; real ones have some kilobytes. */
export const SMALL_FILE_BYTES = 16 << 20;

export interface ReadOptions {
  /** A larger file is refused unread. */
  readonly maxBytes: number;
  /** What to do where the file is missing, and where it is too large. */
  readonly hint?: string;
  readonly tooLarge?: string;
}

/**
 * Opens a file to read, calls `use` with its descriptor and size, and closes it again.
 * @throws UserError when there is no such file, it is not a regular file (a folder, a pipe, a link to nothing), or may
 *   not be read
 */
export function withInput<T>(
  path: string,
  use: (fd: number, bytes: number) => T,
  { hint }: { hint?: string | undefined } = {},
): T {
  let fd: number;
  try {
    // Without waiting for a writer where it is a pipe.
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

/** Whether anything has this name: a file, a folder, or a link, though it may lead to nothing. */
export function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

/**
 * The absolute path of a file, symbolic links resolved.
 * @throws UserError when there is no such file
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
 * @throws UserError when it ends before
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

/** The first bytes of an open file: enough to tell its kind. */
export function readHead(fd: number, bytes: number, path: string): Buffer<ArrayBuffer> {
  return readFully(fd, 0, Math.min(bytes, HEAD_BYTES), path);
}

/**
 * Reads a whole file.
 * @throws UserError as `withInput`, or when it is larger than `maxBytes`
 */
export function readInput(path: string, { maxBytes, hint, tooLarge }: ReadOptions): Buffer<ArrayBuffer> {
  return withInput(
    path,
    (fd, bytes) => {
      if (bytes > maxBytes) {
        const message = `${path} has ${bytes} bytes, more than the ${maxBytes} that such a file can have`;
        throw new UserError(message, { ...(tooLarge !== undefined && { hint: tooLarge }) });
      }
      return readFully(fd, 0, bytes, path);
    },
    { hint },
  );
}

/**
 * Reads a file of text; `format`: what it should be.
 * @throws UserError as `readInput`, or when it is not UTF-8, naming what it is instead where its first bytes tell
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
 * Reads a file of JSON.
 * @throws UserError as `readText`, or when it is not JSON
 */
export function readJson(path: string, options: ReadOptions): unknown {
  const text = readText(path, 'JSON', options);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new UserError(`${path} is not JSON: ${errorMessage(cause)}`, { cause });
  }
}

/** @throws UserError as `readJson`, or when it holds anything but an object */
export function readJsonObject(path: string, options: ReadOptions): JsonObject {
  const value = readJson(path, options);
  if (isRecord(value)) return value;
  throw new UserError(`${path} does not hold a JSON object`);
}

function notReadable(path: string, cause: unknown, hint: string | undefined): UserError {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  const told = code === 'ENOENT' ? absent(path, hint) : refused(code);
  if (told === null) return unable(`cannot read ${path}`, cause, hint);
  const [what, remedy] = told;
  return new UserError(`${path} ${what}`, { ...(remedy !== undefined && { hint: remedy }), cause });
}

function absent(path: string, hint: string | undefined): [what: string, hint: string | undefined] {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()) return ['is missing', hint];
  return [
    `is a link to ${readlinkSync(path)}, and nothing is there`,
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
