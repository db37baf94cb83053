import { gunzipSync } from 'node:zlib';
import { isRecord } from '../../crds/json-schema/node.ts';
import { errorMessage, UserError } from '../../crds/facts/user-error.ts';
import { unable } from '../files/system-failure.ts';
import { kindOf } from '../files/kind.ts';
import { recordError } from './record.ts';
import type { ReadRecord } from './record.ts';
import { mayHoldWrittenNumbers, parseWrittenNumbers } from '../files/written-number.ts';

/** The largest Buffer that Node supports on every platform. Files for fine-tuning adapters are much smaller. */
export const MAX_DATA_BYTES = 2 ** 31 - 1;

const NEWLINE = 0x0a;
const byteOrderMark = [0xef, 0xbb, 0xbf];
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const lenient = new TextDecoder();

/**
 * Reads the objects of a .json or .jsonl file, plain or gzipped: one per line (blank lines are skipped), or one array
 * of objects.
 * @throws UserError that names file and line for any other content, and for a file without a record
 */
export function readRecords(file: string, content: Buffer): ReadRecord[] {
  let bytes = file.endsWith('.gz') ? decompress(file, content) : content;
  const kind = bytes.length > 0 ? kindOf(bytes, 'text') : null;
  if (kind) throw new UserError(`${file} is ${kind.what}, not JSON`, { hint: kind.hint });
  if (byteOrderMark.every((byte, at) => bytes[at] === byte)) bytes = bytes.subarray(byteOrderMark.length);
  const values = isArray(bytes) ? arrayElements(file, bytes) : lines(file, bytes);
  const records = values.map(({ value, line, written }) => {
    if (isRecord(value))
      return { file, line, fields: { ...value }, ...(written && { written: () => objectOf(written()) }) };
    throw recordError(
      { file, line },
      'not a JSON object',
      'A data file holds one object per line, or one array of objects.',
    );
  });
  if (records.length > 0) return records;
  throw new UserError(`${file} contains no records`, {
    hint: 'A data file holds one object per line, or one array of objects.',
  });
}

interface Positioned {
  readonly value: unknown;
  readonly line: number;
  /** The value with its numbers as Python writes them; absent if JavaScript writes all of them alike. */
  readonly written?: () => unknown;
}

const objectOf = (value: unknown): Readonly<Record<string, unknown>> => (isRecord(value) ? value : {});

function decompress(file: string, content: Buffer): Buffer {
  if (content[0] !== 0x1f || content[1] !== 0x8b) {
    const kind = kindOf(content, 'text');
    throw new UserError(`${file} is not compressed with gzip, despite its name${kind ? `, but ${kind.what}` : ''}`, {
      hint: kind?.hint ?? 'Remove .gz from its name, or compress it with gzip.',
    });
  }
  try {
    return gunzipSync(content, { maxOutputLength: MAX_DATA_BYTES });
  } catch (cause) {
    if (cause instanceof RangeError && 'code' in cause && cause.code === 'ERR_BUFFER_TOO_LARGE') {
      const hint = 'Split the data into smaller files, or sample from it.';
      throw new UserError(`${file} is larger than 2 GiB when decompressed`, { hint, cause });
    }
    const hint = 'The file may be truncated; copy or download it again.';
    throw unable(`${file} cannot be decompressed`, cause, hint);
  }
}

function isArray(bytes: Buffer): boolean {
  const first = bytes.find((byte) => byte !== 0x20 && byte !== 0x09 && byte !== 0x0d && byte !== NEWLINE);
  return first === 0x5b;
}

/** A single object may span several lines. With several objects, each must be on one line. */
function lines(file: string, bytes: Buffer): Positioned[] {
  try {
    return eachLine(file, bytes);
  } catch (error) {
    const whole = onlyObject(bytes);
    if (whole === null) throw error;
    return [whole];
  }
}

function onlyObject(bytes: Buffer): Positioned | null {
  try {
    const text = strict.decode(bytes);
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? { value, line: 1, ...asWritten(text) } : null;
  } catch {
    return null;
  }
}

/** Parses line by line, because the text of the whole file may exceed the maximum length of a string. */
function eachLine(file: string, bytes: Buffer): Positioned[] {
  const values: Positioned[] = [];
  for (let start = 0, line = 1; start < bytes.length; line++) {
    const found = bytes.indexOf(NEWLINE, start);
    const end = found < 0 ? bytes.length : found;
    const text = decode(file, line, bytes.subarray(start, end));
    if (text.trim() !== '') values.push({ value: parse(file, line, text), line, ...asWritten(text) });
    start = end + 1;
  }
  return values;
}

function arrayElements(file: string, bytes: Buffer): Positioned[] {
  const text = decode(file, 1, bytes);
  const elements = parse(file, 1, text);
  if (!Array.isArray(elements)) throw recordError({ file, line: 1 }, 'not an array of objects');
  const starts = elementLines(text);
  let all: unknown;
  const written = (at: number) => () => {
    all ??= parseWrittenNumbers(text);
    return Array.isArray(all) ? all[at] : undefined;
  };
  const mayDiffer = mayHoldWrittenNumbers(text);
  return elements.map((value: unknown, at) => ({
    value,
    line: starts[at] ?? 1,
    ...(mayDiffer && { written: written(at) }),
  }));
}

function asWritten(text: string): Pick<Positioned, 'written'> {
  return mayHoldWrittenNumbers(text) ? { written: () => parseWrittenNumbers(text) } : {};
}

/** The line on which each element of a valid JSON array begins. */
function elementLines(text: string): number[] {
  const starts: number[] = [];
  let depth = 0;
  let line = 1;
  let expectsElement = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    if (char === '\n') line++;
    if (char.trim() === '') continue;
    if (expectsElement && char !== ']') {
      starts.push(line);
      expectsElement = false;
    }
    if (char === '"') {
      for (at++; text[at] !== '"'; at++) if (text[at] === '\\') at++;
    } else if (char === '[' || char === '{') {
      expectsElement = depth++ === 0;
    } else if (char === ']' || char === '}') {
      depth--;
    } else if (char === ',' && depth === 1) {
      expectsElement = true;
    }
  }
  return starts;
}

function decode(file: string, line: number, bytes: Buffer): string {
  try {
    return strict.decode(bytes);
  } catch (cause) {
    if (cause instanceof TypeError) {
      throw recordError({ file, line: line + badLine(bytes) }, 'not valid UTF-8', 'Save the file as UTF-8.');
    }
    throw recordError(
      { file, line },
      'too long for one string',
      'Convert the array to JSON Lines: one object per line.',
    );
  }
}

/** The number of lines before the first byte sequence that is not valid UTF-8. */
function badLine(bytes: Buffer): number {
  let before = 0;
  for (let start = 0; start < bytes.length; before++) {
    const found = bytes.indexOf(NEWLINE, start);
    const end = found < 0 ? bytes.length : found;
    if (lenient.decode(bytes.subarray(start, end)).includes('\ufffd')) return before;
    start = end + 1;
  }
  return 0;
}

function parse(file: string, line: number, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const reason = errorMessage(cause);
    const within = /\(line (\d+) column \d+\)/.exec(reason);
    throw recordError(
      { file, line: line + (within ? Number(within[1]) - 1 : 0) },
      `not JSON: ${reason}`,
      'A data file holds one object per line, or one array of objects.',
    );
  }
}
