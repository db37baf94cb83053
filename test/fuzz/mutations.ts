import { gzipSync } from 'node:zlib';
import fc from 'fast-check';

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** Represents deeply nested lists, which JSON.stringify could not write. */
const DEEP = '@deep@';
const deepJson = '['.repeat(100_000) + ']'.repeat(100_000);

const oddValues: readonly Json[] = [
  null,
  true,
  false,
  0,
  -0,
  -1,
  1,
  1.5,
  7,
  1e8,
  1e300,
  5e-324,
  2 ** 31,
  2 ** 53,
  -(2 ** 63),
  '',
  '7',
  'true',
  'none',
  ' ',
  'x'.repeat(20_000),
  DEEP,
  'constructor',
  '__proto__',
  'toString',
  '../../etc/passwd',
  '/dev/zero',
  'a\0b',
  '\ud800',
  '\ufeff',
  '<',
  '${x}',
  '$&',
  '(?:',
  '\\',
  [],
  [[]],
  [null],
  {},
  { type: 'x' },
  Array<Json>(3000).fill(0),
];
const oddNames = [
  'magic',
  'constructor',
  '__proto__',
  'hasOwnProperty',
  'toString',
  '',
  'type',
  'length',
  '0',
  'é',
  'x'.repeat(5000),
];

type Edit = (parent: Json[] | { [name: string]: Json }, key: string) => void;

/**
 * A JSON text with one to three random edits of its value, and occasionally an edit of the text itself. Each character
 * is a byte, to be written as latin1: ASCII, except for what an edit of the text inserted.
 */
export function mutatedJson(value: unknown): fc.Arbitrary<string> {
  const base = ascii(JSON.stringify(value));
  const path = fc.array(fc.nat(), { minLength: 1, maxLength: 8 });
  const edits = fc.array(fc.tuple(path, edit()), { minLength: 1, maxLength: 3 });
  const ofValue = edits.map((chosen) => {
    const box: { root: Json } = { root: JSON.parse(base) };
    for (const [way, apply] of chosen) {
      const [parent, key] = walk(box, way);
      apply(parent, key);
    }
    return ascii(JSON.stringify(box.root) ?? 'null').replaceAll(JSON.stringify(DEEP), deepJson);
  });
  const ofText = mutatedBytes(Buffer.from(base)).map((bytes) => Buffer.from(bytes).toString('latin1'));
  return fc.oneof({ arbitrary: ofValue, weight: 9 }, { arbitrary: ofText, weight: 1 });
}

function ascii(json: string): string {
  return json.replace(/[^ -~]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** A random path from the root to a member. */
function walk(box: { root: Json }, way: readonly number[]): [parent: Json[] | { [name: string]: Json }, key: string] {
  let parent: Json[] | { [name: string]: Json } = box;
  let key = 'root';
  for (const step of way) {
    const next: Json | undefined = member(parent, key);
    if (typeof next !== 'object' || next === null) break;
    const keys = Object.keys(next);
    if (keys.length === 0) break;
    parent = next;
    key = keys[step % keys.length] ?? '';
  }
  return [parent, key];
}

function edit(): fc.Arbitrary<Edit> {
  const odd = fc.oneof(
    fc.constantFrom(...oddValues),
    fc.jsonValue({ maxDepth: 2 }).map((value): Json => JSON.parse(JSON.stringify(value))),
  );
  return fc.oneof(
    odd.map(
      (value): Edit =>
        (parent, key) =>
          set(parent, key, value),
    ),
    fc.constant<Edit>((parent, key) => (Array.isArray(parent) ? parent.splice(Number(key), 1) : delete parent[key])),
    fc.tuple(fc.constantFrom(...oddNames), odd).map(([name, value]): Edit => (parent, key) => {
      const here = member(parent, key);
      if (typeof here === 'object' && here !== null && !Array.isArray(here)) set(here, name, value);
      else set(parent, Array.isArray(parent) ? key : name, value);
    }),
    fc
      .constantFrom<(x: number) => number>(
        (x) => -x,
        (x) => x + 0.5,
        (x) => x * 1000,
        (x) => x * 1e12,
        (x) => x + 1,
        (x) => x - 1,
        (x) => x / 1e12,
      )
      .map((change): Edit => (parent, key) => {
        const here = member(parent, key);
        if (typeof here === 'number') set(parent, key, change(here));
      }),
    fc.constant<Edit>((parent, key) => set(parent, key, [member(parent, key) ?? null])),
    fc.constant<Edit>((parent, key) => set(parent, key, { value: member(parent, key) ?? null })),
    fc.constant<Edit>((parent, key) => set(parent, key, JSON.stringify(member(parent, key) ?? null))),
    fc.constant<Edit>((parent, key) => {
      const here = member(parent, key) ?? null;
      if (Array.isArray(parent)) parent.push(structuredClone(here));
      else set(parent, `${key}2`, structuredClone(here));
    }),
    fc.nat().map((other): Edit => (parent, key) => {
      const keys = Object.keys(parent);
      set(parent, key, structuredClone(member(parent, keys[other % keys.length] ?? key) ?? null));
    }),
  );
}

function member(parent: Json[] | { [name: string]: Json }, key: string): Json | undefined {
  return Array.isArray(parent) ? parent[Number(key)] : Object.hasOwn(parent, key) ? parent[key] : undefined;
}

/** Also creates a member called __proto__, as JSON.parse does. */
function set(parent: Json[] | { [name: string]: Json }, key: string, value: Json): void {
  Object.defineProperty(parent, key, { value, enumerable: true, configurable: true, writable: true });
}

/** Other kinds of files in place of the expected one. */
const otherKinds: readonly Uint8Array[] = [
  Buffer.alloc(0),
  Buffer.alloc(64),
  Buffer.from('version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n'),
  Buffer.from('<!DOCTYPE html><html></html>'),
  gzipSync('{}'),
  Buffer.from('\ufeff{}', 'utf16le'),
  Buffer.from('80028a0a6cfc9c46f9206aa850192e80024d', 'hex'),
];

/**
 * Valid bytes with one to four edits: set, truncated, cut out, inserted, duplicated, zeroed; occasionally another file.
 */
export function mutatedBytes(right: Uint8Array): fc.Arbitrary<Uint8Array> {
  const place = fc.nat();
  const one = fc.oneof<fc.Arbitrary<(bytes: Buffer) => Buffer>[]>(
    fc.tuple(place, fc.nat(255)).map(([at, value]) => (bytes: Buffer) => {
      if (bytes.length > 0) bytes[at % bytes.length] = value;
      return bytes;
    }),
    fc.tuple(place, fc.nat(7)).map(([at, bit]) => (bytes: Buffer) => {
      if (bytes.length > 0) bytes[at % bytes.length]! ^= 1 << bit;
      return bytes;
    }),
    place.map((at) => (bytes: Buffer) => bytes.subarray(0, at % (bytes.length + 1))),
    fc.tuple(place, fc.nat(16)).map(([at, n]) => (bytes: Buffer) => {
      const from = at % (bytes.length + 1);
      return Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + n)]);
    }),
    fc.tuple(place, fc.uint8Array({ minLength: 1, maxLength: 16 })).map(([at, more]) => (bytes: Buffer) => {
      const from = at % (bytes.length + 1);
      return Buffer.concat([bytes.subarray(0, from), more, bytes.subarray(from)]);
    }),
    fc.tuple(place, fc.nat(64)).map(([at, n]) => (bytes: Buffer) => {
      const from = at % (bytes.length + 1);
      return bytes.fill(0, from, Math.min(from + n, bytes.length));
    }),
    fc.tuple(place, fc.nat(64)).map(([at, n]) => (bytes: Buffer) => {
      const from = at % (bytes.length + 1);
      return Buffer.concat([bytes.subarray(0, from + n), bytes.subarray(from)]);
    }),
  );
  const edited = fc
    .array(one, { minLength: 1, maxLength: 4 })
    .map((edits) => edits.reduce<Buffer>((bytes, apply) => apply(bytes), Buffer.from(right)));
  // The first bytes determine how all others are read.
  const early = fc.tuple(fc.nat(31), fc.nat(255)).map(([at, value]) => {
    const bytes = Buffer.from(right);
    if (at < bytes.length) bytes[at] = value;
    return bytes;
  });
  return fc.oneof(
    { arbitrary: edited, weight: 8 },
    { arbitrary: early, weight: 2 },
    { arbitrary: fc.constantFrom(...otherKinds), weight: 1 },
  );
}
