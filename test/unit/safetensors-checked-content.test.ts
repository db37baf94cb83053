// The one pass over a weight file: what it finds, what is remembered of it, and files that change.
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { Test } from 'tap';
import { fileState } from '../../worker/files/file-state.ts';
import { sha256 } from '../../worker/files/sha256.ts';
import { checkedContent, LARGE_FILE_BYTES, READ_ONCE } from '../../worker/safetensors/checked-content.ts';
import { readContent } from '../../worker/safetensors/content.ts';
import { forget, remember } from '../../worker/safetensors/content-memory.ts';
import { writeSafetensors } from '../../worker/safetensors/safetensors.ts';
import type { TensorData } from '../../worker/safetensors/safetensors.ts';

const CHILD = fileURLToPath(new URL('../support/content-child.ts', import.meta.url));
const INFINITY = { F32: [0, 0, 0x80, 0x7f], BF16: [0x80, 0x7f], F16: [0, 0x7c] } as const;
const FAKE = 'f'.repeat(64);

/** A tensor of zeros, with infinity at some elements. */
function tensor(name: string, dtype: keyof typeof INFINITY, elements: number, ...infinite: number[]): TensorData {
  const width = INFINITY[dtype].length;
  const data = new Uint8Array(elements * width);
  for (const at of infinite) data.set(INFINITY[dtype], at * width);
  return { name, dtype, shape: [elements], data };
}

/** Writes a file of `bytes`, or a few more, in a folder of its own. */
function writeFile(t: Test, bytes: number, ...tensors: readonly TensorData[]): string {
  const path = join(t.testdir({}), 'model.safetensors');
  writeSafetensors(path, [tensor('rest', 'F32', Math.ceil(bytes / 4)), ...tensors]);
  return path;
}

/** What a new process finds out. */
function found(path: string, cache: string, mode: 'once' | 'again' = 'once'): Record<string, unknown> {
  return JSON.parse(execFileSync(process.execPath, [CHILD, path, cache, mode], { encoding: 'utf8' }));
}

/** Replaces the SHA-256 in all entries, as a sign that a file was not read. */
function markRemembered(cache: string): void {
  for (const name of readdirSync(join(cache, 'verified'))) {
    const entry = join(cache, 'verified', name);
    writeFileSync(entry, readFileSync(entry, 'utf8').replace(/"sha256":"[0-9a-f]{64}"/, `"sha256":"${FAKE}"`));
  }
}

for (const [size, bytes] of [
  ['small', 3 << 20],
  ['large', LARGE_FILE_BYTES],
] as const) {
  t.test(`a pass over a ${size} file gives its SHA-256 and the first infinite element of each tensor`, async (t) => {
    const path = writeFile(
      t,
      bytes,
      tensor('float', 'F32', 700_001, 700_000),
      tensor('brain', 'BF16', 1_000_001, 999_999, 1_000_000),
      tensor('half', 'F16', 3, 0),
      tensor('finite', 'F16', 9),
    );
    const content = await checkedContent(path, fileState(path), READ_ONCE);
    t.equal(content.sha256, sha256(readFileSync(path)));
    t.same(content.nonFinite, { float: 700_000, brain: 999_999, half: 0 });
  });
}

t.test('a file that is not safetensors is hashed', async (t) => {
  const path = join(t.testdir({ file: 'no header' }), 'file');
  t.same(await checkedContent(path, fileState(path)), { sha256: sha256('no header'), nonFinite: {} });
});

t.test('a later process does not read a file that is as it was', (t) => {
  const path = writeFile(t, LARGE_FILE_BYTES, tensor('half', 'F16', 2, 1));
  const cache = join(t.testdirName, 'cache');
  const first = found(path, cache);
  t.same(first['nonFinite'], { half: 1 });
  markRemembered(cache);
  t.same(found(path, cache), { ...first, sha256: FAKE }, 'it was remembered');
  t.match(found(path, cache, 'again')['error'], /its content changed, but its size and its times did not/);
  t.same(found(path, cache), first, 'what was wrong is forgotten');
  t.same(found(path, cache, 'again'), first);
  t.end();
});

t.test('a file that was replaced is read again, whatever its size and its time', (t) => {
  const path = writeFile(t, LARGE_FILE_BYTES);
  const cache = join(t.testdirName, 'cache');
  const time = new Date(2020, 1, 1);
  utimesSync(path, time, time);
  const bytes = readFileSync(path);
  found(path, cache);
  for (const replace of [
    () => writeFileSync(path, bytes),
    () => {
      copyFileSync(path, `${path}.new`);
      renameSync(`${path}.new`, path);
    },
  ]) {
    markRemembered(cache);
    replace();
    utimesSync(path, time, time);
    t.same(statSync(path).mtime, time);
    t.equal(found(path, cache)['sha256'], sha256(bytes));
  }
  t.end();
});

t.test('a damaged entry is ignored and made again', (t) => {
  const path = writeFile(t, LARGE_FILE_BYTES);
  const cache = join(t.testdirName, 'cache');
  const first = found(path, cache);
  const [name = ''] = readdirSync(join(cache, 'verified'));
  const entry = join(cache, 'verified', name);
  const intact = readFileSync(entry, 'utf8');
  const fake = intact.replace(/"sha256":"[0-9a-f]{64}"/, `"sha256":"${FAKE}"`);
  for (const damaged of [
    '',
    fake.slice(0, -9),
    fake.replace('"version":1', '"version":2'),
    fake.replace(/"changed":"\d/, '"changed":"9'),
    fake.replace('"nonFinite":{}', '"nonFinite":{"rest":-1}'),
    fake.replace(FAKE, 'x'),
    fake + ' '.repeat(1 << 20),
  ]) {
    t.not(damaged, fake);
    writeFileSync(entry, damaged);
    t.same(found(path, cache), first, JSON.stringify(damaged.slice(0, 200)));
    t.equal(readFileSync(entry, 'utf8'), intact);
  }
  t.end();
});

t.test('without a folder that can be written, every process reads', (t) => {
  const path = writeFile(t, LARGE_FILE_BYTES);
  const sha = sha256(readFileSync(path));
  for (const cache of [join(path, 'below-a-file'), '/proc/none', '/dev/full'])
    t.same(found(path, cache), { sha256: sha, nonFinite: {} }, cache);
  t.end();
});

t.test('an entry that cannot be removed is no failure', async (t) => {
  const path = writeFile(t, 1);
  const state = fileState(path);
  const folder = join(t.testdirName, 'verified');
  await remember(folder, state, { sha256: FAKE, nonFinite: {} });
  const [name = ''] = readdirSync(folder);
  await forget(folder, state);
  t.same(readdirSync(folder), []);
  mkdirSync(join(folder, name));
  await t.resolves(forget(folder, state), 'a folder is in its place');
});

t.test('entries are bounded: the oldest go', (t) => {
  const path = writeFile(t, LARGE_FILE_BYTES);
  const cache = join(t.testdirName, 'cache');
  const folder = join(cache, 'verified');
  mkdirSync(folder, { recursive: true });
  for (let i = 0; i < 1005; i++) {
    writeFileSync(join(folder, `1-${i}.json`), '{}');
    utimesSync(join(folder, `1-${i}.json`), i, i);
  }
  found(path, cache);
  t.equal(readdirSync(folder).length, 1000);
  t.notOk(existsSync(join(folder, '1-5.json')));
  t.ok(existsSync(join(folder, '1-6.json')));
  t.end();
});

t.test('a file that changes before or while it is read is refused', async (t) => {
  const message = /model\.safetensors was changed while it was read/;
  const large = writeFile(t, LARGE_FILE_BYTES);
  const early = checkedContent(large, fileState(large));
  appendFileSync(large, 'more');
  await t.rejects(early, { name: 'UserError', message, hint: /no program writes/ });

  const late = writeFile(t, 16 << 20);
  const reading = readContent(late, fileState(late));
  await setImmediate();
  appendFileSync(late, 'more');
  await t.rejects(reading, { name: 'UserError', message });

  const cut = writeFile(t, 16 << 20);
  const shortened = readContent(cut, fileState(cut));
  await setImmediate();
  writeFileSync(cut, 'short');
  await t.rejects(shortened, { name: 'UserError', message });
});

t.test('a pass ends when it is cancelled', async (t) => {
  const stop = new AbortController();
  for (const bytes of [1 << 20, LARGE_FILE_BYTES]) {
    const path = writeFile(t, bytes);
    const reading = checkedContent(path, fileState(path), { ...READ_ONCE, signal: stop.signal });
    stop.abort(new Error('stopped'));
    await t.rejects(reading, { message: 'stopped' });
    t.match(await checkedContent(path, fileState(path)), { nonFinite: {} }, 'and can begin again');
  }
});
