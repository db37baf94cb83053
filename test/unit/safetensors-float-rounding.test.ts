import t from 'tap';
import { widenToFloat32 } from '../../worker/safetensors/float-formats.ts';
import type { FloatDtype } from '../../worker/safetensors/float-formats.ts';
import { roundFromFloat32 } from '../../worker/safetensors/float-rounding.ts';
import { randomStream } from '../../worker/random.ts';

const halvesOf = (dtype: FloatDtype, values: readonly number[]) => [
  ...new Uint16Array(roundFromFloat32(dtype, Float32Array.from(values)).buffer),
];

/** Every value of a format, by its bits. */
function valuesOf(dtype: 'BF16' | 'F16'): Float32Array {
  const bits = Uint16Array.from({ length: 2 ** 16 }, (_, i) => i);
  const values = new Float32Array(bits.length);
  widenToFloat32(dtype, new Uint8Array(bits.buffer), values);
  return values;
}

t.test('every number a half holds is rounded to itself', async (t) => {
  for (const dtype of ['BF16', 'F16'] as const) {
    const values = valuesOf(dtype);
    const rounded = new Uint16Array(roundFromFloat32(dtype, values).buffer);
    const wrong = rounded.findIndex((bits, i) => bits !== i && !Number.isNaN(values[i]));
    t.equal(wrong, -1, dtype);
    const back = new Float32Array(values.length);
    widenToFloat32(dtype, new Uint8Array(rounded.buffer), back);
    t.equal(
      values.findIndex((value, i) => Number.isNaN(value) !== Number.isNaN(back[i])),
      -1,
      `${dtype}: NaN stays NaN`,
    );
  }
});

t.test('a value between two halves is rounded to the nearer, ties to even', async (t) => {
  for (const dtype of ['BF16', 'F16'] as const) {
    const values = valuesOf(dtype);
    const infinity = dtype === 'BF16' ? 0x7f80 : 0x7c00;
    const failures: string[] = [];
    // All adjacent values from zero up: subnormals, every power of two, and the step to infinity.
    for (let below = 0; below < infinity; below++) {
      const step = below + 1 === infinity ? values[below]! - values[below - 1]! : values[below + 1]! - values[below]!;
      const middle = values[below]! + step / 2;
      // Also the float32 values next to the midpoint.
      const bits = new Uint32Array(Float32Array.of(middle).buffer)[0]!;
      const [before, at, after] = halvesOf(dtype, [
        ...new Float32Array(Uint32Array.of(bits - 1, bits, bits + 1).buffer),
      ]);
      const even = below % 2 === 0 ? below : below + 1;
      if (before !== below || at !== even || after !== below + 1) failures.push(`${below}: ${before} ${at} ${after}`);
    }
    t.same(failures, [], dtype);
  }
});

t.test('signs are kept, and what is out of range becomes infinite', async (t) => {
  t.same(
    halvesOf('F16', [-0, -1, 65519, 65520, -1e6, 2 ** -25, 2 ** -26, -Infinity]),
    [0x8000, 0xbc00, 0x7bff, 0x7c00, 0xfc00, 0, 0, 0xfc00],
  );
  t.same(halvesOf('BF16', [-0, -1, 3.4e38, -3.4028235e38]), [0x8000, 0xbf80, 0x7f80, 0xff80]);
});

t.test('random floats are rounded to the nearest half', async (t) => {
  const seed = Date.now() % 2 ** 31;
  t.comment(`seed ${seed}`);
  const random = randomStream(seed, 'rounding');
  const floats = Float32Array.from({ length: 20_000 }, () => random.normal() * 10 ** (8 * random.uniform() - 6));
  for (const dtype of ['BF16', 'F16'] as const) {
    const sorted = valuesOf(dtype).filter(Number.isFinite).sort();
    const rounded = new Float32Array(floats.length);
    widenToFloat32(dtype, roundFromFloat32(dtype, floats), rounded);
    const nearest = (x: number) => {
      let [low, high] = [0, sorted.length - 1];
      while (high - low > 1) {
        const middle = (low + high) >> 1;
        if (sorted[middle]! <= x) low = middle;
        else high = middle;
      }
      return Math.min(x - sorted[low]!, sorted[high]! - x);
    };
    const wrong = floats.findIndex((x, i) => Math.abs(x - rounded[i]!) > nearest(x));
    t.equal(wrong, -1, `${dtype}: ${floats[wrong]} became ${rounded[wrong]}`);
  }
});
