import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import t from 'tap';
import { SWEPT_STATES } from '../../worker/inference/layer-sweep.ts';
import type { TokenSequence } from '../../worker/inference/packs.ts';
import type { HiddenStates } from '../../worker/inference/trunk-runner.ts';
import { TeacherStates } from '../../worker/training/teacher-states.ts';
import type { DiskCache } from '../../worker/training/teacher-states.ts';

const LAYERS = 2;
const HIDDEN = 3;

/** Bytes of the states of `sequence(…, tokens)`. */
const bytesOf = (tokens: number) => LAYERS * tokens * HIDDEN * 4;

const sequence = (id: string, tokens: number): TokenSequence => ({ id, inputIds: new Int32Array(tokens).fill(1) });

/** States from which sequence, layer and position can be recognised. */
const statesOf = ({ id, inputIds }: TokenSequence): HiddenStates =>
  Array.from({ length: LAYERS }, (_, layer) =>
    Float32Array.from({ length: inputIds.length * HIDDEN }, (_, i) => id.charCodeAt(0) + layer / 4 + i / 64),
  );

const [a, b, c] = [sequence('a', 2), sequence('b', 4), sequence('c', 3)];
const PACKS = [[a, b], [c]];
const LARGE = 2 ** 20;

const cacheIn = (directory: string, bytes = LARGE): DiskCache => ({ directory, bytes, checkUnchanged: () => {} });

/** Teacher states, and the packs that were computed for them. */
function teacher(disk: DiskCache | null, memoryBytes = LARGE, sweptTokens = 0) {
  const computed: string[] = [];
  const runner = {
    sweptTokens,
    async *passes(packs: readonly (readonly TokenSequence[])[]) {
      computed.push(packs.map((pack) => pack.map(({ id }) => id).join()).join(' '));
      for (const pack of packs) yield pack.map(statesOf);
    },
  };
  const states = new TeacherStates({ runner, packs: PACKS, layers: LAYERS, memoryBytes, disk });
  /** States are written to disk after they are returned, in a later turn of the event loop. */
  const of = async (...sequences: readonly TokenSequence[]) => {
    const found = await states.of(sequences);
    await setImmediate();
    return found;
  };
  return { states, of, computed };
}

t.test('a later run reads from disk what an earlier one computed, to the bit', async (t) => {
  const disk = cacheIn(join(t.testdir({}), 'cache/teacher'));
  const first = teacher(disk);
  t.strictSame(await first.of(c, a), [statesOf(c), statesOf(a)], 'in the order asked for');
  t.strictSame(first.computed, ['c', 'a,b'], 'a pack at a time');
  t.strictSame(readdirSync(disk.directory).sort(), ['a', 'b', 'c'], 'all of a pack is kept');
  const second = teacher(disk);
  t.strictSame(await second.of(a, b, c), [a, b, c].map(statesOf));
  t.strictSame(second.computed, []);
});

t.test('a damaged file is computed again, and replaced', async (t) => {
  const damages: Readonly<Record<string, (content: Buffer) => Buffer>> = {
    'a flipped bit': (content) => Buffer.from(content.map((byte, i) => (i === 5 ? byte ^ 1 : byte))),
    truncated: (content) => content.subarray(0, -7),
    'no more than a digest': (content) => content.subarray(-32),
    'shorter than a digest': (content) => content.subarray(0, 3),
    empty: () => Buffer.alloc(0),
  };
  for (const [what, damage] of Object.entries(damages)) {
    const disk = cacheIn(join(t.testdir({}), 'cache'));
    await teacher(disk).of(c);
    const file = join(disk.directory, 'c');
    const whole = readFileSync(file);
    writeFileSync(file, damage(whole));
    const next = teacher(disk);
    t.strictSame(await next.of(c), [statesOf(c)], what);
    t.strictSame(next.computed, ['c'], what);
    t.strictSame(readFileSync(file), whole, what);
  }
});

t.test('the cache stays within its limit of bytes, those of earlier runs included', async (t) => {
  const directory = join(t.testdir({}), 'cache');
  const first = teacher(cacheIn(directory, bytesOf(2) + bytesOf(3)));
  await first.of(a);
  t.strictSame(readdirSync(directory), ['a'], 'b does not fit');
  // The state of `a` is found on disk, so its digest is checked.
  const second = teacher(cacheIn(directory, bytesOf(2) + bytesOf(3)));
  t.strictSame(await second.of(a, c), [statesOf(a), statesOf(c)]);
  t.strictSame(second.computed, ['c']);
  t.strictSame(readdirSync(directory), ['a'], 'nor does c now');
});

t.test('states of a model that has changed are not kept', async (t) => {
  let isChanged = false;
  const disk: DiskCache = {
    ...cacheIn(join(t.testdir({}), 'cache')),
    checkUnchanged: () => {
      if (isChanged) throw new Error('changed');
    },
  };
  const states = teacher(disk);
  await states.of(c);
  isChanged = true;
  await states.of(a, c);
  t.strictSame(readdirSync(disk.directory), ['c']);
});

t.test('a full disk costs time and nothing else', async (t) => {
  const directory = join(t.testdir({}), 'cache');
  const states = teacher(cacheIn(directory), 0);
  // A folder at the path of the temporary file: even root cannot write there.
  mkdirSync(join(directory, 'a.part'));
  t.strictSame(await states.of(a), [statesOf(a)]);
  t.strictSame(await states.of(c), [statesOf(c)]);
  t.strictSame(await states.of(c), [statesOf(c)]);
  t.strictSame(states.computed, ['a,b', 'c', 'c'], 'nothing is written after the first failure');
  t.notOk(existsSync(join(directory, 'c')));
});

t.test('memory holds what was used last; without a disk the rest is computed again', async (t) => {
  const states = teacher(null, bytesOf(4) + bytesOf(3));
  await states.of(a);
  await states.of(b, c);
  t.strictSame(states.computed, ['a,b', 'c']);
  await states.of(b, c);
  t.strictSame(states.computed, ['a,b', 'c'], 'both are held');
  t.strictSame(await states.of(a), [statesOf(a)]);
  t.strictSame(states.computed, ['a,b', 'c', 'a,b']);
  await t.rejects(states.of(sequence('d', 1)), /sequence d is not in the pool/);
});

t.test('a runner that sweeps computes later requests as well, as far as memory holds them', async (t) => {
  const all = PACKS.flat().reduce((sum, { inputIds }) => sum + inputIds.length, 0);
  const later = () => [b, c, a];
  const roomy = teacher(null, SWEPT_STATES, all);
  t.strictSame(await roomy.states.of([a], later), [statesOf(a)]);
  t.strictSame(await roomy.states.of([b, c], later), [statesOf(b), statesOf(c)]);
  t.strictSame(roomy.computed, ['a,b c'], 'both packs in one sweep');

  const short = teacher(null, SWEPT_STATES, all - 1);
  await short.states.of([a], later);
  t.strictSame(short.computed, ['a,b'], 'not more tokens than a sweep takes');
  const tight = teacher(null, SWEPT_STATES / 2, all);
  await tight.states.of([a], later);
  t.strictSame(tight.computed, ['a,b'], 'nor than memory holds');

  const disk = cacheIn(join(t.testdir({}), 'cache'));
  await teacher(disk).of(c);
  const resumed = teacher(disk, SWEPT_STATES, all);
  await resumed.states.of([a], later);
  t.strictSame(resumed.computed, ['a,b'], 'nor what is on disk');
});
