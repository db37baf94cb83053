import fc from 'fast-check';
import t from 'tap';
import type { PartitionSpec } from '../../crds/types.ts';
import { dirichlet } from '../../worker/data/dirichlet.ts';
import { partitionRecords } from '../../worker/data/partition.ts';
import { UserError } from '../../crds/facts/user-error.ts';
import { randomStream } from '../../worker/random.ts';

const records = (...categories: unknown[]) =>
  categories.map((category, i) => ({
    file: 'd.jsonl',
    line: i + 1,
    fields: category === undefined ? {} : { category },
  }));
const of = (kind: PartitionSpec['kind'], alpha = 0.5): PartitionSpec => ({ kind, alpha, field: 'category' });
const repeat = (counts: Record<string, number>) =>
  Object.entries(counts).flatMap(([name, n]) => Array.from({ length: n }, () => name));
const FIXED_SEED = 20_260_101;

t.test('every record has exactly one owner, whatever the kind, and the summary counts them', async (t) => {
  const owned = fc.record({
    kind: fc.constantFrom('IID' as const, 'Dirichlet' as const, 'Meta' as const),
    categories: fc.array(fc.constantFrom('a', 'b', 'c', '__proto__', 'd'), { minLength: 4, maxLength: 200 }),
    clients: fc.integer({ min: 1, max: 4 }),
    seed: fc.integer({ min: 0, max: 1000 }),
  });
  t.comment(`fast-check seed ${FIXED_SEED}`);
  let divided = 0;
  fc.assert(
    fc.property(owned, ({ kind, categories, clients, seed }) => {
      const input = records(...categories);
      let result: ReturnType<typeof partitionRecords>;
      try {
        result = partitionRecords(input, of(kind, 1), clients, seed);
      } catch (error) {
        return kind !== 'IID' && error instanceof UserError;
      }
      divided++;
      const all = result.clients.flat().sort((a, b) => a - b);
      const counted = result.summary.map(({ categories }) => Object.values(categories).reduce((a, b) => a + b, 0));
      return (
        all.length === input.length &&
        all.every((index, i) => index === i) &&
        result.clients.every(
          (c, i) => c.length > 0 && c.length === result.summary[i]!.records && c.length === counted[i],
        ) &&
        JSON.stringify(partitionRecords(input, of(kind, 1), clients, seed)) === JSON.stringify(result)
      );
    }),
    { seed: FIXED_SEED, numRuns: 300 },
  );
  t.ok(divided > 200);
});

t.test('IID deals evenly, and by the seed', async (t) => {
  const input = records(...repeat({ a: 50, b: 53 }));
  const { clients } = partitionRecords(input, of('IID'), 4, 1);
  t.same(clients.map((owned) => owned.length).sort(), [25, 26, 26, 26]);
  t.ok(
    clients.every((owned) => owned.some((i) => i < 50) && owned.some((i) => i >= 50)),
    'shuffled',
  );
  t.notSame(partitionRecords(input, of('IID'), 4, 2).clients, clients);
  t.equal(partitionRecords(records(undefined, 1), of('IID'), 2, 1).clients.length, 2, 'needs no field');
});

t.test('Meta assigns whole classes, the largest first, to the client with the fewest records', async (t) => {
  const { clients, summary } = partitionRecords(records(...repeat({ a: 3, b: 9, c: 4, d: 5, e: 1 })), of('Meta'), 3, 1);
  t.same(
    summary.map(({ categories }) => categories),
    [{ b: 9 }, { d: 5, e: 1 }, { a: 3, c: 4 }],
  );
  t.ok(
    clients.every((owned) => owned.every((index, i) => i === 0 || index > owned[i - 1]!)),
    'indices ascend',
  );
  t.same(partitionRecords(records(2, true, 2), of('Meta'), 2, 1).summary, [
    { client: 0, records: 2, categories: { 2: 2 } },
    { client: 1, records: 1, categories: { true: 1 } },
  ]);
});

t.test('Dirichlet: the smaller alpha, the more the clients differ', async (t) => {
  const input = records(...repeat({ a: 400, b: 400, c: 400 }));
  const spread = (alpha: number) => {
    const { summary } = partitionRecords(input, of('Dirichlet', alpha), 4, 3);
    return Math.max(...summary.map(({ categories }) => Math.abs((categories['a'] ?? 0) - 100)));
  };
  t.ok(spread(1000) < 20);
  t.ok(spread(0.5) > 50);
});

t.test('Dirichlet shares have the moments of the distribution', async (t) => {
  // Each share is Beta(alpha, (n-1) alpha): mean 1/n, variance (n-1) / (n² (n alpha + 1)).
  const n = 4;
  for (const alpha of [0.05, 0.5, 1, 20]) {
    const stream = randomStream(5, 'moments', alpha);
    const draws = Array.from({ length: 4000 }, () => dirichlet(n, alpha, stream));
    t.ok(draws.every((shares) => Math.abs(shares.reduce((a, b) => a + b) - 1) < 1e-12));
    const first = draws.map((shares) => shares[0]!);
    const mean = first.reduce((a, b) => a + b) / first.length;
    const variance = first.reduce((sum, x) => sum + (x - 1 / n) ** 2, 0) / first.length;
    const expected = (n - 1) / (n * n * (n * alpha + 1));
    t.ok(Math.abs(mean - 1 / n) < 4 * Math.sqrt(expected / first.length), `mean at alpha ${alpha}`);
    t.ok(Math.abs(variance / expected - 1) < 0.15, `variance at alpha ${alpha}: ${variance} against ${expected}`);
  }
  t.ok(dirichlet(8, 1e-4, randomStream(1, 'tiny')).every(Number.isFinite), 'a tiny alpha does not underflow to 0/0');
});

t.test('partitions that cannot be made are refused', async (t) => {
  const two = records('a', 'a', 'b');
  t.throws(() => partitionRecords(two, of('IID'), 4, 1), {
    constructor: UserError,
    message: /3 training records cannot be distributed to 4 clients/,
  });
  t.throws(() => partitionRecords(two, of('Meta'), 3, 1), {
    constructor: UserError,
    message: /Meta partition leaves client 2 without/,
    hint: /fewer values/,
  });
  t.throws(() => partitionRecords(records('a', undefined), of('Meta'), 1, 1), {
    constructor: UserError,
    message: /^d\.jsonl:2: the field 'category'/,
  });
  t.throws(() => partitionRecords(records('a', { x: 1 }), of('Dirichlet'), 1, 1), { message: /^d\.jsonl:2/ });
  t.throws(() => partitionRecords(records(...repeat({ a: 8 })), of('Dirichlet', 0.01), 8, 1), {
    constructor: UserError,
    message: /Dirichlet partition leaves clients .+ without records/,
    hint: /Raise data\.partition\.alpha, choose another seed/,
  });
});
