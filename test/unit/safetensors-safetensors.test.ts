import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import t from 'tap';
import {
  decodeSafetensors,
  encodeSafetensors,
  float32Tensor,
  readSafetensorsHeader,
  readTensor,
  writeSafetensors,
} from '../../worker/safetensors/safetensors.ts';

// Written with the Python library by test/oracle/safetensors_fixture.py.
const PYTHON_FILE = fileURLToPath(new URL('../fixtures/safetensors/mixed.safetensors', import.meta.url));
const HALVES = [0, -0, 1, -2.5, 65504, 2 ** -14, 2 ** -24, -1023 * 2 ** -24, 0.333251953125];

t.test('reads what the Python library wrote, every value exactly', async (t) => {
  const { tensors, metadata } = readSafetensorsHeader(PYTHON_FILE);
  t.same(metadata, { format: 'pt' });
  const values = (name: string) => [...readTensor(PYTHON_FILE, tensors.get(name)!)];
  t.strictSame(values('a'), [1.5, -0, 3.4028234663852886e38, Math.fround(1e-45)]);
  t.strictSame(values('b'), [1, -2.5, 3.140625]);
  t.strictSame(values('half'), HALVES);
  t.strictSame(values('10'), [1, 1, 1]);
  t.strictSame(values('empty'), []);
  t.strictSame(values('scalar'), [1.5]);
  t.strictSame(values('é/"\\'), [7]);
  t.same(tensors.get('empty')?.shape, [0, 4]);
  t.same(tensors.get('scalar')?.shape, []);
  t.equal(tensors.size, 7);
});

t.test('writes the bytes the Python library writes, whatever the order of the tensors', async (t) => {
  const expected = readFileSync(PYTHON_FILE);
  const { tensors, metadata } = readSafetensorsHeader(PYTHON_FILE);
  // prettier-ignore
  const inputs = [...tensors].map(([name, { dtype, shape, offset, bytes }]) => ({
    name, dtype, shape, data: expected.subarray(offset, offset + bytes),
  }));
  t.ok(expected.equals(encodeSafetensors(inputs, metadata)));
  t.ok(expected.equals(encodeSafetensors(inputs.reverse(), metadata)));
  const path = join(t.testdir({}), 'copy.safetensors');
  writeSafetensors(path, inputs, metadata);
  t.ok(expected.equals(readFileSync(path)));
});

t.test('metadata is written in the order of its names', async (t) => {
  const tensors = [float32Tensor('x', [1], Float32Array.of(1))];
  t.same(encodeSafetensors(tensors, { b: '1', a: '2' }), encodeSafetensors(tensors, { a: '2', b: '1' }));
});

t.test('encoded tensors are decoded to the same bits', async () => {
  const tensor = fc.record({
    name: fc.string({ unit: 'binary' }).filter((name) => name !== '__metadata__'),
    values: fc.float32Array(),
  });
  fc.assert(
    fc.property(fc.uniqueArray(tensor, { selector: (x) => x.name, maxLength: 6 }), (list) => {
      const bytes = encodeSafetensors(list.map(({ name, values }) => float32Tensor(name, [values.length], values)));
      const { tensors } = decodeSafetensors(bytes, { maxBytes: bytes.byteLength });
      const bits = (x: Float32Array) => Buffer.from(x.buffer, x.byteOffset, x.byteLength);
      return (
        tensors.size === list.length &&
        list.every(({ name, values }) => bits(tensors.get(name)!.values).equals(bits(values)))
      );
    }),
  );
});

t.test('a package at an odd address is decoded, and one over the limit is refused', async (t) => {
  const python = readFileSync(PYTHON_FILE);
  const shifted = new Uint8Array(python.byteLength + 1);
  shifted.set(python, 1);
  const { tensors } = decodeSafetensors(shifted.subarray(1), { maxBytes: python.byteLength });
  t.strictSame([...tensors.get('half')!.values], HALVES);
  t.strictSame([...tensors.get('scalar')!.values], [1.5]);
  t.throws(() => decodeSafetensors(python, { maxBytes: python.byteLength - 1 }), {
    name: 'UserError',
    message: /more than the \d+ allowed/,
  });
});

t.test('a tensor that is not floating point is listed but not read as weights', async (t) => {
  const path = join(t.testdir({}), 'ids.safetensors');
  const tensors = [{ name: 'ids', dtype: 'I64', shape: [2], data: new Uint8Array(16) } as const];
  writeSafetensors(path, tensors);
  const entry = readSafetensorsHeader(path).tensors.get('ids')!;
  t.equal(entry.dtype, 'I64');
  t.throws(() => readTensor(path, entry), { name: 'UserError', message: /holds I64 values/ });
  t.throws(() => decodeSafetensors(encodeSafetensors(tensors), { maxBytes: 1000 }), {
    name: 'UserError',
    message: /"ids" holds I64/,
  });
});

t.test('writing a tensor that contradicts itself is a programming error, and leaves no file', async (t) => {
  const dir = t.testdir({ 'x.safetensors': 'before' });
  const path = join(dir, 'x.safetensors');
  const one = float32Tensor('x', [2], Float32Array.of(1));
  t.throws(() => encodeSafetensors([one]), /4 bytes for F32 of shape \[2\]/);
  const two = float32Tensor('x', [1], Float32Array.of(1));
  t.throws(() => encodeSafetensors([two, two]), /given twice/);
  t.throws(() => writeSafetensors(join(dir, 'no', 'x.safetensors'), [two]), {
    name: 'UserError',
    message: /cannot write .*no such file or folder/,
  });
  t.equal(readFileSync(path, 'utf8'), 'before');
});

t.test('a file that is not what it claims is refused, naming file, tensor and fault', async (t) => {
  const file = (header: string | object, data = 16, length?: bigint) => {
    const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
    const prefix = Buffer.alloc(8);
    prefix.writeBigUInt64LE(length ?? BigInt(json.byteLength));
    return Buffer.concat([prefix, json, Buffer.alloc(data)]);
  };
  const x = (fields: object) => ({ x: { dtype: 'F32', shape: [4], data_offsets: [0, 16], ...fields } });
  // prettier-ignore
  const broken: [string, Buffer, RegExp][] = [
    ['empty', Buffer.alloc(0), /has 0 bytes, fewer than the 8|is empty/],
    ['shorter than the length', Buffer.alloc(5), /has 5 bytes/],
    ['a header beyond the limit', file('{}', 0, 100_000_001n), /claims 100000001 bytes, more than the 100000000/],
    ['a header of 2^64-1 bytes', file('{}', 0, 2n ** 64n - 1n), /claims 18446744073709551615 bytes/],
    ['a header beyond the end', file('{}', 0, 100n), /claims 100 bytes, but the file ends after 10/],
    ['cut off in the data', file(x({})).subarray(0, -3), /tensor "x": data_offsets \[0, 16\] reach beyond the 13 bytes/],
    ['not JSON', file('{"x":'), /not valid JSON/],
    ['not UTF-8', Buffer.concat([file('', 0, 2n), Buffer.from([0xff, 0xfe])]), /not valid JSON in UTF-8/],
    ['a byte order mark', file('\ufeff{}', 0), /not valid JSON/],
    ['an array', file('[]', 0), /not a JSON object/],
    ['a number', file('1', 0), /not a JSON object/],
    ['an entry that is no object', file({ x: 3 }), /tensor "x": its entry is not an object/],
    ['an unknown dtype', file(x({ dtype: 'F33' })), /tensor "x": unknown dtype "F33"/],
    ['an inherited dtype', file(x({ dtype: 'toString' })), /unknown dtype "toString"/],
    ['a missing dtype', file({ x: { shape: [4], data_offsets: [0, 16] } }), /unknown dtype undefined/],
    ['a negative size', file(x({ shape: [-4] })), /shape \[-4\] is not a list of non-negative/],
    ['a fractional size', file(x({ shape: [0.5, 8] })), /shape \[0\.5,8\]/],
    ['an unsafe size', file('{"x":{"dtype":"F32","shape":[9007199254740993,0],"data_offsets":[0,0]}}', 0), /shape \[9007199254740992,0\]/],
    ['a size that is text', file(x({ shape: ['4'] })), /shape \["4"\]/],
    ['a shape that is no list', file(x({ shape: 4 })), /shape 4/],
    ['a product that overflows', file(x({ shape: [2 ** 40, 2 ** 40] })), /takes 4\.8\d+e\+24 bytes, but data_offsets hold 16/],
    ['shape and bytes that disagree', file(x({ shape: [3] })), /F32 of shape \[3\] takes 12 bytes, but data_offsets hold 16/],
    ['dtype and bytes that disagree', file(x({ dtype: 'F16' })), /F16 of shape \[4\] takes 8 bytes/],
    ['a negative offset', file(x({ data_offsets: [-16, 0] })), /data_offsets \[-16,0\] are not/],
    ['an infinite offset', file('{"x":{"dtype":"F32","shape":[4],"data_offsets":[0,1e999]}}'), /data_offsets \[0,null\] are not/],
    ['one offset', file(x({ data_offsets: [0] })), /data_offsets \[0\] are not two/],
    ['three offsets', file(x({ data_offsets: [0, 16, 16] })), /are not two/],
    ['offsets that run backwards', file(x({ data_offsets: [16, 0] })), /end before they begin/],
    ['offsets out of the file', file(x({ data_offsets: [16, 32] })), /reach beyond the 16 bytes/],
    ['a gap at the start', file(x({ shape: [2], data_offsets: [8, 16] })), /8 bytes before tensor "x" belong to no tensor/],
    ['a gap at the end', file(x({ shape: [2], data_offsets: [0, 8] })), /8 bytes at the end belong to no tensor/],
    ['a gap between', file({ x: { dtype: 'U8', shape: [4], data_offsets: [0, 4] }, y: { dtype: 'U8', shape: [8], data_offsets: [8, 16] } }), /4 bytes before tensor "y"/],
    ['an overlap', file({ ...x({}), y: { dtype: 'F32', shape: [2], data_offsets: [8, 16] } }), /tensor "y" overlaps the tensor before it by 8/],
    ['the same range twice', file({ ...x({}), y: { dtype: 'F32', shape: [4], data_offsets: [0, 16] } }), /tensor "y" overlaps/],
    ['bytes without a tensor', file({}), /16 bytes at the end/],
    ['a name given twice', file('{"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"x":{"dtype":"U8","shape":[16],"data_offsets":[0,16]}}'), /names "x" twice/],
    ['a name given twice, once escaped', file('{"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\\u0078":{"dtype":"U8","shape":[16],"data_offsets":[0,16]}}'), /names "x" twice/],
    ['a field given twice', file('{"x":{"dtype":"U8","shape":[0],"shape":[16],"data_offsets":[0,16]}}'), /names "shape" twice/],
    ['metadata that is no object', file({ __metadata__: 'x', ...x({}) }), /__metadata__ is not an object/],
    ['metadata that is not text', file({ __metadata__: { n: 1 }, ...x({}) }), /__metadata__ entry "n" is not a string/],
  ];
  const dir = t.testdir({});
  for (const [name, bytes, message] of broken) {
    const path = join(dir, `${name}.safetensors`);
    writeFileSync(path, bytes);
    t.throws(() => readSafetensorsHeader(path), { name: 'UserError', message }, name);
    t.throws(() => readSafetensorsHeader(path), { message: path }, `${name}: names the file`);
    t.throws(() => decodeSafetensors(bytes, { maxBytes: 1000 }), { name: 'UserError', message }, `${name}, in memory`);
  }
  t.throws(() => readSafetensorsHeader(join(dir, 'none')), { name: 'UserError', message: /none is missing/ });
  t.throws(() => readSafetensorsHeader(dir), { name: 'UserError', message: /is a folder, not a file/ });
});

t.test('a file that is truncated after its header was read', async (t) => {
  const path = join(t.testdir({}), 'x.safetensors');
  writeSafetensors(path, [float32Tensor('x', [4], new Float32Array(4))]);
  const entry = readSafetensorsHeader(path).tensors.get('x')!;
  writeFileSync(path, readFileSync(path).subarray(0, -4));
  t.throws(() => readTensor(path, entry), { name: 'UserError', message: /4 bytes too early: the file is truncated/ });
});

t.test('half precision at an odd place of a received package is read as it is', async (t) => {
  const json = Buffer.from('{"x":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}} ');
  for (const odd of [json, json.subarray(0, -1)]) {
    const prefix = Buffer.alloc(8);
    prefix.writeBigUInt64LE(BigInt(odd.length));
    const bytes = Buffer.concat([prefix, odd, Buffer.from([0x80, 0x3f, 0x00, 0xc0])]);
    t.same([...decodeSafetensors(bytes, { maxBytes: 1000 }).tensors.get('x')!.values], [1, -2]);
  }
});
