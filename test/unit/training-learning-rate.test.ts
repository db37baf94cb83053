import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import Type from 'typebox';
import Value from 'typebox/value';
import { learningRateAt } from '../../worker/training/steps.ts';

const Cases = Type.Array(
  Type.Object({
    schedule: Type.Enum(['Constant', 'Linear', 'Cosine']),
    learningRate: Type.Number(),
    warmupSteps: Type.Integer(),
    steps: Type.Integer(),
    rates: Type.Array(Type.Number()),
  }),
);

t.test('the rates are those of PyTorch’s schedulers', async (t) => {
  const cases = Value.Parse(
    Cases,
    JSON.parse(readFileSync(new URL('../fixtures/learning-rates.json', import.meta.url), 'utf8')),
  );
  t.strictSame([...new Set(cases.map(({ schedule }) => schedule))], ['Constant', 'Linear', 'Cosine']);
  for (const { rates, steps, ...spec } of cases) {
    t.equal(rates.length, steps);
    const off = rates.map((rate, step) => Math.abs(learningRateAt(spec, step, steps) - rate));
    t.ok(
      Math.max(...off) < 1e-12 * spec.learningRate,
      `${spec.schedule}, ${spec.warmupSteps} of ${steps} steps: off by ${Math.max(...off)}`,
    );
  }
});

t.test('in closed form', async (t) => {
  const of = (schedule: 'Constant' | 'Linear' | 'Cosine', warmupSteps: number, steps: number) =>
    Array.from({ length: steps }, (_, step) => learningRateAt({ schedule, learningRate: 8, warmupSteps }, step, steps));
  t.strictSame(of('Constant', 0, 3), [8, 8, 8]);
  t.strictSame(of('Constant', 4, 6), [2, 4, 6, 8, 8, 8]);
  t.strictSame(of('Linear', 0, 4), [8, 6, 4, 2]);
  t.strictSame(of('Linear', 2, 6), [4, 8, 8, 6, 4, 2]);
  const half = (done: number) => 4 * (1 + Math.cos(Math.PI * done));
  t.strictSame(of('Cosine', 0, 4), [8, half(0.25), half(0.5), half(0.75)]);
  t.strictSame(of('Cosine', 2, 4), [4, 8, 8, half(0.5)]);
  t.ok(Math.abs(half(0.5) - 4) < 1e-15);
});

t.test('a rate is above 0, at most the learning rate, and falls once it has risen', async () => {
  const cases = fc.record({
    schedule: fc.constantFrom('Constant', 'Linear', 'Cosine'),
    learningRate: fc.double({ min: 1e-9, max: 1000, noNaN: true }),
    warmupSteps: fc.nat(50),
    more: fc.integer({ min: 1, max: 50 }),
  });
  fc.assert(
    fc.property(cases, ({ more, ...spec }) => {
      const steps = spec.warmupSteps + more;
      const rates = Array.from({ length: steps }, (_, step) => learningRateAt(spec, step, steps));
      const inBounds = rates.every((rate) => rate > 0 && rate <= spec.learningRate * (1 + 2 ** -52));
      const rises = rates.slice(0, spec.warmupSteps).every((rate, step) => step === 0 || rate > (rates[step - 1] ?? 0));
      const falls = rates
        .slice(spec.warmupSteps)
        .every((rate, step, all) => step === 0 || rate <= (all[step - 1] ?? 0));
      return inBounds && rises && falls;
    }),
    { seed: 14 },
  );
});
