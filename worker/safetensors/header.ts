import { isRecord } from '../../crds/json-schema/node.ts';
import { UserError } from '../../crds/facts/user-error.ts';
import { shown } from '../files/json-value.ts';

/** Bytes per element, for every dtype of the format with whole-byte elements. */
// prettier-ignore
export const DTYPE_BYTES = {
  BOOL: 1, U8: 1, I8: 1, F8_E5M2: 1, F8_E4M3: 1, F8_E8M0: 1,
  I16: 2, U16: 2, F16: 2, BF16: 2,
  I32: 4, U32: 4, F32: 4,
  C64: 8, F64: 8, I64: 8, U64: 8,
} as const;

export type SafetensorsDtype = keyof typeof DTYPE_BYTES;

export function tensorBytes(dtype: SafetensorsDtype, shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, DTYPE_BYTES[dtype]);
}

export interface TensorEntry {
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  /** Offset of the first byte in the file. */
  readonly offset: number;
  readonly bytes: number;
}

export interface SafetensorsHeader {
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** The header length comes first, as a little-endian uint64. */
export const LENGTH_BYTES = 8;
/** The limit of the format's reference library. Headers of real models are far smaller. */
const MAX_HEADER_BYTES = 100_000_000;

/**
 * Length of the JSON header, from the first 8 bytes of the file. `where` names the file in errors.
 * @throws UserError if the prefix is truncated, or the header exceeds the limit or the file
 */
export function headerLength(prefix: Uint8Array, totalBytes: number, where: string): number {
  if (totalBytes < LENGTH_BYTES || prefix.byteLength < LENGTH_BYTES) {
    throw broken(
      where,
      `it has ${totalBytes} bytes, fewer than the ${LENGTH_BYTES} that give the header's length: the file is truncated`,
    );
  }
  const length = new DataView(prefix.buffer, prefix.byteOffset, LENGTH_BYTES).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw broken(where, `the header claims ${length} bytes, more than the ${MAX_HEADER_BYTES} the format allows`);
  }
  if (LENGTH_BYTES + Number(length) > totalBytes) {
    throw broken(
      where,
      `the header claims ${length} bytes, but the file ends after ${totalBytes}: the file is truncated`,
    );
  }
  return Number(length);
}

/**
 * Parses a header and checks it: known dtypes, shapes that match their byte ranges, and ranges that cover the data
 * section completely, without gaps or overlaps.
 * @throws UserError that names the file, the tensor and the problem
 */
export function parseHeader(json: Uint8Array, totalBytes: number, where: string): SafetensorsHeader {
  const header = parseJson(json, where);
  const dataStart = LENGTH_BYTES + json.byteLength;
  const dataBytes = totalBytes - dataStart;
  const tensors = new Map<string, TensorEntry>();
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') metadata = parseMetadata(value, where);
    else tensors.set(name, parseEntry(name, value, dataStart, dataBytes, where));
  }
  checkCoverage(tensors, dataStart, totalBytes, where);
  return { tensors, metadata };
}

/**
 * The header's bytes with their length prefix, padded with spaces so that the data starts at a multiple of 8, as the
 * Python library does.
 */
export function encodeHeader(
  tensors: readonly { name: string; dtype: SafetensorsDtype; shape: readonly number[]; bytes: number }[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const header: [string, unknown][] = [];
  const sortedMetadata = Object.entries(metadata).sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  if (sortedMetadata.length > 0) header.push(['__metadata__', Object.fromEntries(sortedMetadata)]);
  let offset = 0;
  for (const { name, dtype, shape, bytes } of tensors) {
    header.push([name, { dtype, shape, data_offsets: [offset, offset + bytes] }]);
    offset += bytes;
  }
  // Built as text, because an object would reorder names that look like integers.
  const json = Buffer.from(
    `{${header.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}}`,
  );
  const padded = Math.ceil(json.byteLength / 8) * 8;
  const out = Buffer.alloc(LENGTH_BYTES + padded, ' ');
  out.writeBigUInt64LE(BigInt(padded), 0);
  out.set(json, LENGTH_BYTES);
  return out;
}

function parseJson(bytes: Uint8Array, where: string): object {
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    value = JSON.parse(text);
  } catch (cause) {
    throw broken(where, 'its header is not valid JSON in UTF-8', cause);
  }
  if (!isRecord(value)) throw broken(where, 'its header is not a JSON object');
  const duplicate = duplicateKey(text);
  if (duplicate !== undefined) throw broken(where, `its header names ${shown(duplicate)} twice`);
  return value;
}

/** The first duplicate key of any object in a valid JSON text. JSON.parse would silently keep the last value. */
function duplicateKey(json: string): string | undefined {
  const open: Set<string>[] = [];
  let lastString = '';
  for (const [token] of json.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]:]/g)) {
    if (token === '{' || token === '[') open.push(new Set());
    else if (token === '}' || token === ']') open.pop();
    else if (token === ':') {
      const key = String(JSON.parse(lastString));
      if (open.at(-1)?.has(key)) return key;
      open.at(-1)?.add(key);
    } else lastString = token;
  }
  return undefined;
}

function parseMetadata(value: unknown, where: string): Record<string, string> {
  if (!isRecord(value)) throw broken(where, '__metadata__ is not an object');
  return Object.fromEntries(
    Object.entries(value).map(([key, text]) => {
      if (typeof text !== 'string') throw broken(where, `__metadata__ entry ${shown(key)} is not a string`);
      return [key, text];
    }),
  );
}

function parseEntry(name: string, value: unknown, dataStart: number, dataBytes: number, where: string): TensorEntry {
  const wrong = (what: string) => broken(where, `tensor ${shown(name)}: ${what}`);
  if (!isRecord(value)) throw wrong('its entry is not an object');
  const { dtype, shape, data_offsets: offsets } = value;
  if (!isDtype(dtype)) throw wrong(`unknown dtype ${shown(dtype)}`);
  if (!isSizes(shape)) throw wrong(`shape ${shown(shape)} is not a list of non-negative integers`);
  if (!isSizes(offsets) || offsets.length !== 2) {
    throw wrong(`data_offsets ${shown(offsets)} are not two non-negative integers`);
  }
  const [begin = 0, end = 0] = offsets;
  if (begin > end) throw wrong(`data_offsets [${begin}, ${end}] end before they begin`);
  if (end > dataBytes)
    throw wrong(
      `data_offsets [${begin}, ${end}] reach beyond the ${dataBytes} bytes of data: the file is truncated or the header is wrong`,
    );
  const needed = tensorBytes(dtype, shape);
  if (needed !== end - begin) {
    throw wrong(`${dtype} of shape ${shown(shape)} takes ${needed} bytes, but data_offsets hold ${end - begin}`);
  }
  return { dtype, shape, offset: dataStart + begin, bytes: end - begin };
}

function checkCoverage(
  tensors: ReadonlyMap<string, TensorEntry>,
  dataStart: number,
  totalBytes: number,
  where: string,
): void {
  const inOrder = [...tensors].sort(([, a], [, b]) => a.offset - b.offset || a.bytes - b.bytes);
  let at = dataStart;
  for (const [name, { offset, bytes }] of inOrder) {
    if (offset < at) throw broken(where, `tensor ${shown(name)} overlaps the tensor before it by ${at - offset} bytes`);
    if (offset > at) throw broken(where, `${offset - at} bytes before tensor ${shown(name)} belong to no tensor`);
    at = offset + bytes;
  }
  if (at < totalBytes) throw broken(where, `${totalBytes - at} bytes at the end belong to no tensor`);
}

function isDtype(value: unknown): value is SafetensorsDtype {
  return typeof value === 'string' && Object.hasOwn(DTYPE_BYTES, value);
}

function isSizes(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0 && !Object.is(size, -0));
}

function broken(where: string, what: string, cause?: unknown): UserError {
  return new UserError(`${where} is not a usable safetensors file: ${what}`, {
    hint: 'Download or export the file again.',
    cause,
  });
}
