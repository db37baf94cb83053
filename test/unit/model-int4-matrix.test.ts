import t from 'tap';
import { roundToInt4 } from '../../worker/model/round-int4.ts';
import { INT4_BLOCK, packInt4 } from '../../worker/model/weights/int4-matrix.ts';
import { randomStream } from '../../worker/random.ts';
import { fromInt4 } from '../support/int4.ts';

const seed = Number(process.env['TEST_SEED'] ?? 41);
t.comment(`seed ${seed}`);

t.test('levels and zero points are packed two in a byte, the first in the lower half', async (t) => {
  const inputs = 3 * INT4_BLOCK;
  const levels = Uint8Array.from({ length: 2 * inputs }, (_, i) => (i * 7) % 16);
  const zeros = Uint8Array.of(1, 2, 3, 4, 5, 6);
  const scales = Float32Array.of(1, 2, 4, 0.5, 0.25, 8);
  const packed = packInt4({ levels, scales, zeros }, inputs);
  t.same([...packed.values.subarray(0, 3)], [0x70, 0x5e, 0x3c]);
  t.equal(packed.values.length, 2 * 3 * 16);
  t.same([...packed.zeroPoints], [0x21, 0x03, 0x54, 0x06], 'a row of three zero points has two bytes');
  const expected = [...levels].map((level, i) => scales[Math.floor(i / 32)]! * (level - zeros[Math.floor(i / 32)]!));
  t.same([...fromInt4(packed, inputs)], expected);
});

t.test('a weight is rounded by half a step of its block at most, and zero stays zero', async (t) => {
  const inputs = 5 * INT4_BLOCK;
  const random = randomStream(seed, 'rows');
  const rows = Float32Array.from({ length: 7 * inputs }, (_, i) => (i % 11 === 0 ? 0 : 0.02 * random.normal()));
  const matrix = roundToInt4(rows, inputs);
  fromInt4(matrix, inputs).forEach((weight, i) => {
    const error = Math.abs(weight - rows[i]!);
    // The range begins and ends between two levels, up to half a step away.
    if (!(error <= 1.001 * matrix.scales[Math.floor(i / INT4_BLOCK)]!) || (rows[i] === 0 && weight !== 0))
      t.fail(`weight ${i} is ${rows[i]}, rounded ${weight}`);
  });
  const block = [...rows.subarray(0, INT4_BLOCK)];
  t.equal(matrix.scales[0], Math.fround((Math.max(...block) - Math.min(...block)) / 15));
});

t.test('blocks of one sign, of zeros and of the smallest weights', async (t) => {
  const filled = (value: (i: number) => number) => Float32Array.from({ length: INT4_BLOCK }, (_, i) => value(i));
  for (const [what, row] of [
    ['positive', filled((i) => 1 + (i % 15))],
    ['negative', filled((i) => -1 - (i % 15))],
    ['zeros', filled(() => 0)],
  ] as const)
    t.same([...fromInt4(roundToInt4(row, INT4_BLOCK), INT4_BLOCK)], [...row], what);
  const { scales } = roundToInt4(
    filled(() => 2 ** -149),
    INT4_BLOCK,
  );
  t.same([...scales], [1], 'a scale is never 0');
});
