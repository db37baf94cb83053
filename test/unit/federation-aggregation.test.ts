import fc from 'fast-check';
import t from 'tap';
import { federatedAverage } from '../../worker/federation/aggregation.ts';

interface Update {
  samples: number;
  adapter: Float32Array;
}

async function* each(updates: readonly Update[]) {
  yield* updates;
}

const average = (updates: readonly Update[]) => federatedAverage(updates[0]!.adapter.length, each(updates));

const SIZE = 5;
const value = fc.float({ min: -1000, max: 1000, noNaN: true });
const update = fc.record({
  samples: fc.integer({ min: 1, max: 100_000 }),
  adapter: fc.array(value, { minLength: SIZE, maxLength: SIZE }).map((values) => Float32Array.from(values)),
});
const updates = fc.array(update, { minLength: 1, maxLength: 12 });

const seed = Date.now() % 2 ** 31;
const check = (property: fc.IAsyncProperty<[Update[]]>) => fc.assert(property, { seed, numRuns: 200 });

t.comment(`seed ${seed}`);

t.test('it is the mean weighted by samples, within one rounding to float32', (t) =>
  check(
    fc.asyncProperty(updates, async (updates) => {
      const mean = await average(updates);
      const total = updates.reduce((sum, { samples }) => sum + BigInt(samples), 0n);
      mean.forEach((value, i) => {
        // Exact, in units of 2^-200: every float32 is an integer number of them.
        const exact = updates.reduce((sum, { samples, adapter }) => sum + BigInt(samples) * units(adapter[i]!), 0n);
        const error = Math.abs(Number(units(value) - exact / total)) / 2 ** 200;
        const largest = Math.max(...updates.map(({ adapter }) => Math.abs(adapter[i]!)));
        if (error > Math.abs(value) * 2 ** -24 + largest * 2 ** -48 + 2 ** -149)
          throw new Error(`element ${i} is off by ${error}`);
      });
    }),
  ).then(() => t.pass()),
);

/** A float32 as an integer number of 2^-200. */
function units(value: number): bigint {
  const bits = new DataView(new Float32Array([value]).buffer).getUint32(0, true);
  const exponent = (bits >>> 23) & 0xff;
  const mantissa = BigInt((bits & 0x7fffff) | (exponent === 0 ? 0 : 0x800000));
  const magnitude = mantissa << BigInt(Math.max(exponent, 1) - 150 + 200);
  return bits >>> 31 ? -magnitude : magnitude;
}

t.test('it lies between the smallest and the largest', (t) =>
  check(
    fc.asyncProperty(updates, async (updates) => {
      const mean = await average(updates);
      mean.forEach((value, i) => {
        const column = updates.map(({ adapter }) => adapter[i]!);
        if (value < Math.min(...column) || value > Math.max(...column))
          throw new Error(`${value} is outside of ${column.join()}`);
      });
    }),
  ).then(() => t.pass()),
);

t.test('of one update it is that update to the bit, and of equal ones within a rounding', (t) =>
  check(
    fc.asyncProperty(updates, async (updates) => {
      const equal = updates.map(({ samples }) => ({ samples, adapter: updates[0]!.adapter }));
      const positive = (vector: Float32Array) => Buffer.from(vector.map((value) => value + 0).buffer);
      return (
        positive(await average(equal.slice(0, 1))).equals(positive(updates[0]!.adapter)) &&
        (await average(equal)).every(
          (value, i) => Math.abs(value - updates[0]!.adapter[i]!) <= Math.abs(value) * 2 ** -23,
        )
      );
    }),
  ).then(() => t.pass()),
);

t.test('an invalid update is an error', async (t) => {
  const adapter = Float32Array.of(1, 2);
  await t.rejects(federatedAverage(2, each([])), /no updates/);
  await t.rejects(federatedAverage(2, each([{ samples: 0, adapter }])), /0 samples/);
  await t.rejects(federatedAverage(2, each([{ samples: NaN, adapter }])), /NaN samples/);
  await t.rejects(federatedAverage(3, each([{ samples: 1, adapter }])), /2 elements, not 3/);
});
