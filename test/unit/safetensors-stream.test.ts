import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { float32Tensor, readSafetensorsHeader, writeSafetensors } from '../../worker/safetensors/safetensors.ts';
import type { TensorData } from '../../worker/safetensors/safetensors.ts';
import { readRows, streamGroups, streamSafetensors } from '../../worker/safetensors/stream.ts';
import type { StreamedGroup, StreamedTensor } from '../../worker/safetensors/stream.ts';

const tensors: TensorData[] = [
  float32Tensor(
    'b',
    [3, 5],
    Float32Array.from({ length: 15 }, (_, i) => i),
  ),
  { name: 'a', dtype: 'BF16', shape: [2, 2], data: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) },
  float32Tensor('c', [4], Float32Array.of(1, 2, 3, 4)),
  float32Tensor('empty', [0, 4], new Float32Array(0)),
];

function streamed({ name, dtype, shape, data }: TensorData, piece = 3): StreamedTensor {
  return {
    name,
    dtype,
    shape,
    chunks: async function* () {
      for (let i = 0; i < data.length; i += piece) yield data.subarray(i, i + piece);
    },
  };
}

t.test('a streamed file has the bytes of one written at once', async (t) => {
  const dir = t.testdir({});
  writeSafetensors(join(dir, 'whole'), tensors, { format: 'pt' });
  await streamSafetensors(
    join(dir, 'streamed'),
    tensors.map((tensor) => streamed(tensor)),
    { metadata: { format: 'pt' } },
  );
  t.ok(readFileSync(join(dir, 'streamed')).equals(readFileSync(join(dir, 'whole'))));
});

t.test('tensors that are computed together are written to their places', async (t) => {
  const dir = t.testdir({});
  writeSafetensors(join(dir, 'whole'), tensors, { format: 'pt' });
  const [b, a, c, empty] = tensors as [TensorData, TensorData, TensorData, TensorData];
  const together = (cut: number): StreamedGroup => ({
    tensors: [c, a],
    chunks: async function* () {
      for (let i = 0; i < 8; i++) yield [c.data.subarray(2 * i, 2 * i + 2), a.data.subarray(i, i + 1)].slice(0, cut);
    },
  });
  const groups = (cut: number) => [
    together(cut),
    {
      tensors: [b, empty],
      chunks: async function* () {
        yield [b.data];
      },
    },
  ];
  await streamGroups(join(dir, 'streamed'), groups(2), { metadata: { format: 'pt' } });
  t.ok(readFileSync(join(dir, 'streamed')).equals(readFileSync(join(dir, 'whole'))));
  await t.rejects(streamGroups(join(dir, 'short'), groups(1)), { message: /tensor a produced 0 bytes instead of 8/ });
  t.notOk(existsSync(join(dir, 'short')));
});

t.test('rows are read in whole, in order, in pieces of about the asked size', async (t) => {
  const dir = t.testdir({});
  const file = join(dir, 'whole');
  writeSafetensors(file, tensors);
  const header = readSafetensorsHeader(file).tensors;
  for (const { name, data } of tensors) {
    const entry = { file, ...header.get(name)! };
    for (const [size, pieces] of [
      [1, name === 'b' ? 3 : name === 'a' ? 2 : name === 'c' ? 1 : 0],
      [40, name === 'b' ? 2 : name === 'empty' ? 0 : 1],
    ] as const) {
      const read: Uint8Array[] = [];
      for await (const piece of readRows(entry, size)) read.push(piece);
      t.equal(read.length, pieces, `${name}, pieces of ${size}`);
      t.ok(Buffer.concat(read).equals(data), name);
    }
  }
  writeFileSync(file, readFileSync(file).subarray(0, -5));
  const cut = [...header]
    .map(([name, entry]) => ({ name, end: entry.offset + entry.bytes }))
    .toSorted((a, b) => b.end - a.end)[0]!.name;
  await t.rejects(
    async () => {
      for await (const _ of readRows({ file, ...header.get(cut)! }));
    },
    { name: 'UserError', message: /the file is truncated/ },
  );
});

t.test('a failure leaves the file that was there, and nothing else', async (t) => {
  const dir = t.testdir({ old: 'old' });
  const path = join(dir, 'old');
  const failing = (error: Error): StreamedTensor => ({
    name: 'x',
    dtype: 'F32',
    shape: [8],
    chunks: async function* () {
      yield new Uint8Array(16);
      throw error;
    },
  });
  await t.rejects(streamSafetensors(path, [failing(new Error('overflow'))]), { message: 'overflow' });
  await t.rejects(streamSafetensors(path, [{ ...streamed(tensors[0]!), shape: [3, 6] }]), {
    message: /tensor b produced 60 bytes instead of 72/,
  });
  const stop = new AbortController();
  stop.abort(new Error('stopped'));
  await t.rejects(
    streamSafetensors(
      path,
      tensors.map((tensor) => streamed(tensor)),
      { signal: stop.signal },
    ),
    { message: 'stopped' },
  );
  t.equal(readFileSync(path, 'utf8'), 'old');
  t.same(readdirSync(dir), ['old']);

  await t.rejects(streamSafetensors(join(dir, 'missing', 'file'), []), {
    name: 'UserError',
    message: /cannot write .*missing/,
  });
  mkdirSync(join(dir, 'folder'));
  await t.rejects(streamSafetensors(join(dir, 'folder'), [streamed(tensors[0]!)]), { name: 'UserError' });
  t.notOk(existsSync(join(dir, 'folder.partial')));
  mkdirSync(join(dir, 'kept.partial'));
  await t.rejects(streamSafetensors(join(dir, 'kept'), []), { name: 'UserError', message: /kept: it is a folder/ });
});
