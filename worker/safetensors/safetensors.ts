import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { UserError } from '../../crds/facts/user-error.ts';
import { kindOf } from '../files/kind.ts';
import { unable } from '../files/system-failure.ts';
import { readFully, readHead, withInput } from '../files/read.ts';
import { FLOAT_BYTES, isFloatDtype, widenToFloat32 } from './float-formats.ts';
import type { FloatDtype } from './float-formats.ts';
import { encodeHeader, headerLength, LENGTH_BYTES, parseHeader, tensorBytes } from './header.ts';
import type { SafetensorsDtype, SafetensorsHeader, TensorEntry } from './header.ts';

export type { SafetensorsDtype, SafetensorsHeader, TensorEntry } from './header.ts';

/** A tensor to be written. */
export interface TensorData {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  /** Row-major elements, little-endian. */
  readonly data: Uint8Array;
}

/** A tensor from a file, widened to float32. */
export interface FloatTensor {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** The location of a weight on disk, and its format. */
export interface WeightEntry {
  /** Absolute path, symbolic links resolved. */
  readonly file: string;
  readonly dtype: FloatDtype;
  readonly shape: readonly number[];
  /** Offset of the first byte in the file. */
  readonly offset: number;
  readonly bytes: number;
}

const CHUNK_BYTES = 8 << 20;

/** Float32 values as a tensor to be written. The values are not copied. */
export function float32Tensor(name: string, shape: readonly number[], values: Float32Array): TensorData {
  return { name, dtype: 'F32', shape, data: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) };
}

/**
 * Reads and checks the header of a *.safetensors file, without tensor data.
 * @throws UserError if the file is missing, truncated or of another kind, or its header is inconsistent
 */
export function readSafetensorsHeader(path: string): SafetensorsHeader {
  return withInput(path, (fd, totalBytes) => {
    try {
      const length = headerLength(readFully(fd, 0, Math.min(LENGTH_BYTES, totalBytes), path), totalBytes, path);
      return parseHeader(readFully(fd, LENGTH_BYTES, length, path), totalBytes, path);
    } catch (error) {
      const kind = error instanceof UserError ? kindOf(readHead(fd, totalBytes, path), 'safetensors') : null;
      throw kind
        ? new UserError(`${path} is ${kind.what}, not a safetensors file`, { hint: kind.hint, cause: error })
        : error;
    }
  });
}

/**
 * Reads one tensor (F32, BF16 or F16) as float32.
 * @throws UserError for another dtype, or if the file has become shorter than its header says
 */
export function readTensor(path: string, entry: TensorEntry): Float32Array {
  const { dtype } = entry;
  if (!isFloatDtype(dtype)) throw notFloat(path, dtype);
  const out = new Float32Array(entry.bytes / FLOAT_BYTES[dtype]);
  return withInput(path, (fd) => {
    for (let done = 0; done < entry.bytes; done += CHUNK_BYTES) {
      const bytes = readFully(fd, entry.offset + done, Math.min(CHUNK_BYTES, entry.bytes - done), path);
      const first = done / FLOAT_BYTES[dtype];
      widenToFloat32(dtype, bytes, out.subarray(first, first + bytes.byteLength / FLOAT_BYTES[dtype]));
    }
    return out;
  });
}

/**
 * Reads rows of a matrix (F32, BF16 or F16), in the given order, as float32 [rows, width].
 * @throws UserError if the file is missing, or has become shorter than its header says
 */
export function readMatrixRows(
  path: string,
  { dtype, shape, offset, bytes }: TensorEntry & { readonly dtype: FloatDtype },
  rows: Int32Array,
): Float32Array {
  const rowBytes = bytes / shape[0]!;
  const width = rowBytes / FLOAT_BYTES[dtype];
  const out = new Float32Array(rows.length * width);
  return withInput(path, (fd) => {
    rows.forEach((row, i) =>
      widenToFloat32(
        dtype,
        readFully(fd, offset + row * rowBytes, rowBytes, path),
        out.subarray(i * width, (i + 1) * width),
      ),
    );
    return out;
  });
}

/**
 * Writes a *.safetensors file atomically: to a temporary file that is synced and renamed, so that `path` keeps its
 * content after a crash or on a full disk. The bytes depend only on names, dtypes, shapes, values and metadata, and
 * equal those of the Python library.
 */
export function writeSafetensors(
  path: string,
  tensors: readonly TensorData[],
  metadata: Readonly<Record<string, string>> = {},
): void {
  const partial = `${path}.partial`;
  try {
    const fd = openSync(partial, 'w');
    try {
      for (const part of parts(tensors, metadata)) writeFully(fd, part);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(partial, path);
  } catch (cause) {
    rmSync(partial, { force: true });
    throw unable(`cannot write ${path}`, cause);
  }
}

/** The bytes that `writeSafetensors` would write. */
export function encodeSafetensors(
  tensors: readonly TensorData[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  return Buffer.concat(parts(tensors, metadata));
}

/**
 * Decodes an untrusted package of float tensors.
 * @param options.maxBytes a larger package is refused without reading it
 * @param options.where names the package in errors
 * @throws UserError as `readSafetensorsHeader`, or if the package is too large, or a tensor is not F32, BF16 or F16
 */
export function decodeSafetensors(
  bytes: Uint8Array,
  { maxBytes, where = 'package' }: { maxBytes: number; where?: string },
): { tensors: Map<string, FloatTensor>; metadata: Readonly<Record<string, string>> } {
  if (bytes.byteLength > maxBytes)
    throw new UserError(`${where} has ${bytes.byteLength} bytes, more than the ${maxBytes} allowed`);
  const length = headerLength(bytes.subarray(0, LENGTH_BYTES), bytes.byteLength, where);
  const header = parseHeader(bytes.subarray(LENGTH_BYTES, LENGTH_BYTES + length), bytes.byteLength, where);
  const tensors = new Map<string, FloatTensor>();
  for (const [name, entry] of header.tensors) {
    if (!isFloatDtype(entry.dtype)) throw notFloat(`${where}, tensor ${JSON.stringify(name)}`, entry.dtype);
    const values = new Float32Array(entry.bytes / FLOAT_BYTES[entry.dtype]);
    widenToFloat32(entry.dtype, bytes.subarray(entry.offset, entry.offset + entry.bytes), values);
    tensors.set(name, { shape: entry.shape, values });
  }
  return { tensors, metadata: header.metadata };
}

/**
 * Order of dtypes in the Python library's files: wide elements first, so that every tensor is aligned to its elements.
 */
// prettier-ignore
const DTYPE_ORDER: readonly SafetensorsDtype[] = [
  'U64', 'I64', 'F64', 'C64', 'F32', 'U32', 'I32', 'BF16', 'F16', 'U16', 'I16', 'F8_E8M0', 'F8_E4M3', 'F8_E5M2', 'I8', 'U8', 'BOOL',
];

/** Tensors in file order. A duplicate name is a programming error. */
export function inFileOrder<T extends { readonly name: string; readonly dtype: SafetensorsDtype }>(
  tensors: readonly T[],
): T[] {
  const names = new Set(['__metadata__']);
  for (const { name } of tensors) {
    if (names.has(name)) throw new Error(`tensor ${name} is given twice`);
    names.add(name);
  }
  return [...tensors].sort(
    (a, b) =>
      DTYPE_ORDER.indexOf(a.dtype) - DTYPE_ORDER.indexOf(b.dtype) ||
      Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)),
  );
}

/** Header and tensors in file order. Data that does not match its shape is a programming error. */
function parts(tensors: readonly TensorData[], metadata: Readonly<Record<string, string>>): Uint8Array[] {
  const sorted = inFileOrder(tensors);
  for (const { name, dtype, shape, data } of sorted) {
    if (data.byteLength !== tensorBytes(dtype, shape))
      throw new Error(`tensor ${name}: ${data.byteLength} bytes for ${dtype} of shape [${shape.join(', ')}]`);
  }
  return [
    encodeHeader(
      sorted.map((tensor) => ({ ...tensor, bytes: tensor.data.byteLength })),
      metadata,
    ),
    ...sorted.map(({ data }) => data),
  ];
}

function writeFully(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.byteLength;)
    done += writeSync(fd, bytes, done, Math.min(bytes.byteLength - done, 1 << 30));
}

function notFloat(where: string, dtype: string): UserError {
  return new UserError(`${where} holds ${dtype} values; only F32, BF16 and F16 can be read as weights`);
}
