import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { UserError } from '../../crds/facts/user-error.ts';
import { kindOf } from '../../worker/files/kind.ts';
import { shown } from '../../worker/files/json-value.ts';
import { readInput, readJsonObject } from '../../worker/files/read.ts';
import { encodeSafetensors, float32Tensor, readSafetensorsHeader } from '../../worker/safetensors/safetensors.ts';

const pointer = Buffer.from(`version https://git-lfs.github.com/spec/v1\noid sha256:${'7'.repeat(64)}\nsize 4632872\n`);
const text = Buffer.from('{"a": 1}');
const safetensors = Buffer.from(encodeSafetensors([float32Tensor('x', [2], new Float32Array(2))]));

/**
 * Files that Python writes: torch.save with protocol 2, before and since version 1.6, and pickle.dump with protocol 4.
 */
const legacyTorch = Buffer.from('80028a0a6cfc9c46f9206aa85019 2e80024d'.replaceAll(' ', ''), 'hex');
const zippedTorch = Buffer.concat([
  Buffer.from('504b0304000008080000', 'hex'),
  Buffer.alloc(20),
  Buffer.from('archive/data.pkl'),
]);
const pickle4 = Buffer.from('8004950b000000000000007d948c0161944b01732e', 'hex');

const kinds: [name: string, content: Buffer, what: RegExp, hint: RegExp][] = [
  ['a Git LFS pointer', pointer, /a Git LFS pointer/, /git lfs pull/],
  [
    'a web page',
    Buffer.from('\n<!DOCTYPE html><html><body>Log in.</body></html>'.repeat(9)),
    /a web page/,
    /Download the file itself/,
  ],
  ['a page with a mark', Buffer.from('\ufeff<html lang="en">…'), /a web page/, /Download/],
  ['a refusal in XML', Buffer.from('<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'), /XML/, /again/],
  ['gzip', gzipSync(text), /compressed with gzip/, /gunzip.*\.jsonl\.gz/],
  ['bzip2', Buffer.from('BZh91AY&SY'), /compressed with bzip2/, /bunzip2/],
  ['xz', Buffer.from('fd377a585a0000', 'hex'), /compressed with xz/, /unxz/],
  ['zstd', Buffer.from('28b52ffd0458', 'hex'), /compressed with zstd/, /unzstd/],
  [
    'zip',
    Buffer.concat([Buffer.from('504b03041400', 'hex'), Buffer.alloc(20), Buffer.from('model.txt')]),
    /a zip archive/,
    /Unpack/,
  ],
  ['torch.save', zippedTorch, /a PyTorch pickle/, /safetensors/],
  ['torch.save of old', legacyTorch, /a Python pickle/, /safetensors/],
  ['pickle', pickle4, /a Python pickle/, /can run code/],
  ['Parquet', Buffer.from('PAR1\x15\x04'), /a Parquet file/, /to_json/],
  ['Arrow', Buffer.from('ARROW1\0\0'), /an Arrow file/, /to_json/],
  ['GGUF', Buffer.from('GGUF\x03\0\0\0'), /a GGUF file/, /before conversion/],
  ['UTF-16 with a mark', Buffer.from('\ufeff{"a": 1}', 'utf16le'), /text in UTF-16/, /iconv/],
  ['UTF-16 without', Buffer.from('{"a": 1}', 'utf16le'), /text in UTF-16/, /UTF-8/],
  ['zeros', Buffer.alloc(600), /filled with zeros/, /again/],
  ['empty', Buffer.alloc(0), /^empty$/, /again/],
];

t.test(
  'readers of text and of safetensors recognise another kind of file by its first bytes, and say what to do',
  async (t) => {
    const dir = t.testdir({});
    for (const [name, content, what, hint] of kinds) {
      for (const expected of ['text', 'safetensors'] as const)
        t.match(kindOf(content, expected), { what, hint }, `${name}, where ${expected} should be`);
      const path = join(dir, name);
      writeFileSync(path, content);
      const matches = {
        name: 'UserError',
        message: new RegExp(`^${path} is .*${what.source.replace(/[$^]/g, '')}`),
        hint,
      };
      t.match(
        thrown(() => readJsonObject(path, { maxBytes: 1e6 })),
        { ...matches, message: /, not JSON$/ },
        `${name} as JSON`,
      );
      t.match(
        thrown(() => readSafetensorsHeader(path)),
        { ...matches, message: /, not a safetensors file$/ },
        `${name} as safetensors`,
      );
    }
  },
);

t.test('a file of another kind is recognised', async (t) => {
  for (const good of [
    text,
    Buffer.from('  [1]'),
    Buffer.from('\ufeff{}'),
    Buffer.from('<s> a text'),
    Buffer.from('PK'),
    Buffer.from('é'),
    Buffer.from('"\u0000"'),
  ]) {
    t.equal(kindOf(good, 'text'), null, String(good));
  }
  t.equal(kindOf(safetensors, 'safetensors'), null);
  // A header of 640 bytes begins like a pickle.
  t.equal(kindOf(Buffer.concat([Buffer.from('8002000000000000', 'hex'), Buffer.from('{"x":')]), 'safetensors'), null);
  t.match(kindOf(safetensors, 'text'), { what: 'a safetensors file' });
  t.match(kindOf(Buffer.from('Entry not found'), 'safetensors'), { what: 'text that begins with "Entry not found"' });
});

t.test(
  'what is no regular file, or cannot be read, is refused in words, and at once',
  { skip: process.platform !== 'linux' },
  async (t) => {
    const dir = t.testdir({
      'good.json': '{}',
      'number.json': '7',
      'broken.json': '{',
      'latin.json': Buffer.from([0x22, 0xe9, 0x22]),
    });
    const path = (name: string) => join(dir, name);
    mkdirSync(path('folder'));
    symlinkSync('../blobs/abc', path('dangling'));
    symlinkSync('loop', path('loop'));
    execFileSync('mkfifo', [path('pipe')]);
    const cases: [string, RegExp, RegExp?][] = [
      ['none', /none is missing$/, /as told/],
      ['dangling', /dangling is a link to \.\.\/blobs\/abc, which does not exist$/, /cp -rL/],
      ['loop', /loop is a link that leads to itself$/],
      ['folder', /folder is a folder, not a file$/, /as told/],
      ['good.json/x', /x is missing: a part of the path is a file/],
      ['pipe', /pipe is not a regular file$/],
      ['number.json', /number\.json does not hold a JSON object$/],
      ['broken.json', /broken\.json is not JSON: /],
      ['latin.json', /latin\.json is not text in UTF-8$/],
    ];
    for (const [name, message, hint] of cases) {
      const error = thrown(() => readJsonObject(path(name), { maxBytes: 100, hint: 'as told' }));
      t.match(error, { name: 'UserError', message, ...(hint && { hint }) }, name);
    }
    t.match(
      thrown(() => readInput('/dev/zero', { maxBytes: 100 })),
      { name: 'UserError', message: /not a regular file/ },
    );
    t.match(
      thrown(() => readInput(path('good.json'), { maxBytes: 1 })),
      { name: 'UserError', message: /has 2 bytes, more than the limit of 1/ },
    );
    t.same(readJsonObject(path('good.json'), { maxBytes: 2 }), {});
    if (process.getuid?.() !== 0) {
      chmodSync(path('good.json'), 0);
      t.match(
        thrown(() => readInput(path('good.json'), { maxBytes: 100 })),
        { message: /may not be read by this user/ },
      );
    }
  },
);

t.test('a value is shown as it is, and never at any length or depth', async (t) => {
  t.equal(shown({ a: [1, 'x'] }), '{"a":[1,"x"]}');
  t.equal(shown(undefined), 'undefined');
  t.equal(shown('x'.repeat(1000)).length, 121);
  t.match(shown(JSON.parse('['.repeat(100_000) + ']'.repeat(100_000))), /^\[\[\[|nested too deep/);
});

function thrown(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error instanceof UserError ? error : new Error('not a UserError', { cause: error });
  }
  return new Error('nothing was thrown');
}
