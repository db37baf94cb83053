import fc from 'fast-check';
import t from 'tap';
import type { Provider } from '../../worker/engine/compute-protocol.ts';
import { rowPlaces } from '../../worker/model/batch-feeds.ts';
import {
  groupByPrefix,
  PACK_TOKENS,
  packInOrderOfUse,
  packSequences,
  packTokens,
} from '../../worker/inference/packs.ts';
import type { TokenSequence } from '../../worker/inference/packs.ts';
import { shareRows } from '../../worker/inference/shared-rows.ts';

const seed = Number(process.env['TEST_SEED'] ?? 22);
t.comment(`seed ${seed}`);

const sequence = (id: string, ...tokens: number[]): TokenSequence => ({ id, inputIds: Int32Array.from(tokens) });
/** This many tokens, which begin with a prompt and continue differently for each sequence. */
const prompted = (id: number, prompt: number, length: number): TokenSequence =>
  sequence(String(id), ...Array.from({ length }, (_, i) => (i < 20 ? 1000 * prompt + i : 100_000 * (id + 1) + i)));

t.test('tokens share a row as far as all before them is the same', async (t) => {
  const { tokens, rowsOf } = shareRows([
    Int32Array.of(5, 6, 7, 8),
    Int32Array.of(5, 6, 9),
    Int32Array.of(4, 6, 7),
    Int32Array.of(5, 6, 9, 7),
    Int32Array.of(5, 6),
  ]);
  t.same([...tokens], [5, 6, 7, 8, 9, 4, 6, 7, 7]);
  t.same(
    rowsOf.map((rows) => [...rows]),
    [
      [0, 1, 2, 3],
      [0, 1, 4],
      [5, 6, 7],
      [0, 1, 4, 8],
      [0, 1],
    ],
  );
  const { cells, rowsOfCells, positions } = rowPlaces(rowsOf);
  t.same([...cells!.data], [0, 1, 2, 3, 6, 8, 9, 10, 15], 'each row at its first place');
  t.same([...rowsOfCells!.data], [0, 1, 2, 3, 0, 1, 4, -1, 5, 6, 7, -1, 0, 1, 4, 8, 0, 1, -1, -1]);
  t.same(positions!.shape, [5, 4]);
  t.same([...positions!.data].slice(0, 8), [0, 1, 2, 3, 0, 1, 2, 3]);
});

t.test('rows say the tokens of every sequence, and no beginning twice', async (t) => {
  const sequences = fc.array(fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 8 }), {
    minLength: 1,
    maxLength: 8,
  });
  fc.assert(
    fc.property(sequences, (some) => {
      const { tokens, rowsOf } = shareRows(some.map((tokens) => Int32Array.from(tokens)));
      const beginnings = some.flatMap((tokens) => tokens.map((_, i) => tokens.slice(0, i + 1).join()));
      t.same(
        rowsOf.map((rows) => Array.from(rows, (row) => tokens[row])),
        some,
      );
      t.equal(tokens.length, new Set(beginnings).size);
    }),
    { seed },
  );
});

t.test('packs keep the order and their limit', async (t) => {
  const sequences = Array.from({ length: 40 }, (_, i) => prompted(i, i % 3, 30 + ((17 * i) % 150)));
  const packs = packSequences(groupByPrefix(sequences));
  t.same(packs.flat(), groupByPrefix(sequences));
  const padded = (pack: readonly TokenSequence[]) =>
    pack.length * Math.max(...pack.map(({ inputIds }) => inputIds.length));
  for (const pack of packs) t.ok(padded(pack) <= PACK_TOKENS);
  for (const [i, next] of packs.slice(1).entries())
    t.ok(padded([...packs[i]!, next[0]!]) > PACK_TOKENS, 'a pack ends only when it is full');
  const long = prompted(0, 0, PACK_TOKENS + 1);
  t.same(packSequences([long, long]), [[long], [long]], 'one that is too long for any pack is computed alone');
});

t.test('a GPU takes more in one pass', async (t) => {
  const sequences = Array.from({ length: 32 }, (_, i) => prompted(i, i, 200));
  const sizes = (provider: Provider) => packInOrderOfUse(sequences, packTokens(provider)).map(({ length }) => length);
  t.same(
    sizes('cpu'),
    Array.from({ length: 16 }, () => 2),
  );
  t.same(sizes('cuda'), [16, 16], 'all of a window of the order of use');
});

t.test('sequences with a common prefix are adjacent, the shortest first', async (t) => {
  const order = [
    prompted(0, 1, 50),
    prompted(1, 2, 40),
    sequence('lone', 3, 3, 3),
    prompted(2, 1, 30),
    prompted(3, 2, 60),
    sequence('shorter', 4),
  ];
  t.same(
    groupByPrefix(order).map(({ id }) => id),
    ['2', '0', '1', '3', 'shorter', 'lone'],
  );
});

t.test('packs in the order of use: each sequence once, those used first in the first packs', async (t) => {
  const sequences = Array.from({ length: 50 }, (_, i) => prompted(i, 0, 60));
  const packs = packInOrderOfUse([...sequences, ...sequences]);
  t.same(
    packs
      .flat()
      .map(({ id }) => Number(id))
      .toSorted((a, b) => a - b),
    sequences.map((_, i) => i),
  );
  const windows = packs.map((pack) => new Set(pack.map(({ id }) => Math.floor(Number(id) / 16))));
  t.ok(
    windows.every(({ size }) => size === 1),
    'no pack looks ahead beyond its window',
  );
  t.same(
    windows.map(([window]) => window),
    [0, 0, 1, 1, 2, 2, 3],
  );
});
