import fc from 'fast-check';
import t from 'tap';
import { batchOrder } from '../../worker/data/batch-order.ts';
import { collate } from '../../worker/data/batch.ts';
import { sequenceOf } from '../../worker/data/sequence.ts';

t.test('rows are padded on the right and padding carries no loss', async (t) => {
  const a = sequenceOf([5, 6, 7], [-100, 6, 7]);
  const b = sequenceOf([8], [-100]);
  const batch = collate([a, b], 2);
  t.same(batch, {
    rows: 2,
    length: 3,
    inputIds: Int32Array.of(5, 6, 7, 8, 2, 2),
    labels: Int32Array.of(-100, 6, 7, -100, -100, -100),
    lengths: Int32Array.of(3, 1),
    tokens: 4,
    ids: [a.id, b.id],
  });
});

const shuffled = (seed: number, ...labels: (string | number)[]) => ({ seed, labels, shuffle: true });

t.test('each pass holds every item once, in an order of its own', async (t) => {
  const seed = 20_260_102;
  t.comment(`fast-check seed ${seed}`);
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 9 }),
      fc.nat(1000),
      (count, batchSize, jobSeed) => {
        const order = batchOrder(count, batchSize, shuffled(jobSeed, 'client', 0));
        const drawn = Array.from({ length: Math.ceil((3 * count) / batchSize) }, (_, step) =>
          order.batchAt(step),
        ).flat();
        const passes = [0, 1, 2].map((pass) => drawn.slice(pass * count, (pass + 1) * count));
        return passes.every((pass) => new Set(pass).size === count && pass.every((i) => i >= 0 && i < count));
      },
    ),
    { seed, numRuns: 200 },
  );
  const order = batchOrder(30, 30, shuffled(1, 'x'));
  t.notSame(order.batchAt(0), order.batchAt(1));
});

t.test('a batch depends on its step alone', async (t) => {
  const forwards = batchOrder(10, 3, shuffled(4, 'client', 2));
  const wanted = Array.from({ length: 12 }, (_, step) => forwards.batchAt(step));
  const backwards = batchOrder(10, 3, shuffled(4, 'client', 2));
  for (let step = 11; step >= 0; step--) t.same(backwards.batchAt(step), wanted[step], `step ${step}`);
  t.same(batchOrder(10, 3, shuffled(4, 'client', 2)).batchAt(7), wanted[7], 'a fresh start');
  t.notSame(batchOrder(10, 3, shuffled(4, 'client', 3)).batchAt(0), wanted[0], 'another client');
  t.notSame(batchOrder(10, 3, shuffled(5, 'client', 2)).batchAt(0), wanted[0], 'another seed');
});

t.test('without shuffling the file’s order is kept, over and over', async (t) => {
  const order = batchOrder(3, 2, { seed: 1, labels: [], shuffle: false });
  t.same([0, 1, 2].map(order.batchAt), [
    [0, 1],
    [2, 0],
    [1, 2],
  ]);
  t.same(batchOrder(2, 5, { seed: 1, labels: [], shuffle: false }).batchAt(0), [0, 1, 0, 1, 0], 'more rows than items');
});
