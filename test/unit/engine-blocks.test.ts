// Rows computed in blocks equal rows computed at once, even if the last block is not full.
import t from 'tap';
import type { Value } from '../../worker/engine/graph/graph.ts';
import { inBlocks } from '../../worker/engine/ops/blocks.ts';
import { gemm } from '../../worker/engine/ops/matrix.ts';
import { mul } from '../../worker/engine/ops/elementwise.ts';
import { reduceSum, split } from '../../worker/engine/ops/shape.ts';
import { crossEntropy } from '../../worker/engine/ops/cross-entropy.ts';
import { divergence } from '../../worker/engine/ops/divergence.ts';
import { vocabularyBlock, vocabularySlices } from '../../worker/engine/ops/vocabulary.ts';
import { float32, int32 } from '../../worker/engine/graph/tensor.ts';
import type { Tensor } from '../../worker/engine/graph/tensor.ts';
import { randomStream } from '../../worker/random.ts';
import { compileForward, evaluateWithGradients } from '../support/evaluate-graph.ts';
import { numbers, relativeError } from '../support/fixture-tensors.ts';
import { testCompute } from '../support/test-compute.ts';

const compute = testCompute();
t.teardown(() => compute.close());
const r = randomStream(1, 'blocks');
const normal = (...shape: number[]) =>
  float32(
    Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => r.normal()),
    shape,
  );

for (const [rows, blockRows] of [
  [0, 4],
  [1, 4],
  [4, 4],
  [5, 4],
  [8, 4],
  [9, 4],
  [7, 1],
] as const) {
  t.test(`${rows} rows, blocks of at most ${blockRows}`, async (t) => {
    const inputs = [normal(rows, 3), normal(rows, 3), normal(3, 2)];
    const products = await compileForward(
      compute,
      ([a, b, weight]) => {
        // The second result depends on the order of rows. The weight belongs to the enclosing graph.
        const [product, sums] = inBlocks([a!, b!], blockRows, ([x, y]) => [
          gemm(mul(x!, y!), weight!),
          reduceSum(x!, [1], true),
        ]);
        return mul(product!, sums!);
      },
      inputs,
    );
    const found = await products.run(inputs);
    const [a, b, weight] = inputs.map(numbers) as [number[], number[], number[]];
    const expected = Array.from({ length: rows }, (_, i) => {
      const row = (x: number[]) => x.slice(3 * i, 3 * i + 3);
      const sum = row(a).reduce((x, y) => x + y);
      return [0, 1].map((j) => sum * row(a).reduce((total, x, k) => total + x * row(b)[k]! * weight[2 * k + j]!, 0));
    }).flat();
    t.same(found.shape, [rows, 2]);
    t.ok(relativeError(numbers(found), expected) < 1e-5);
  });
}

const VOCABULARY = 300_000;
const SLICES = vocabularySlices(VOCABULARY).map(([from, to]) => to - from);
const HEAD = normal(VOCABULARY, 2);
const states = normal(130, 2);
const teacher = normal(130, 2);
const labels = int32(Int32Array.from({ length: 130 }, () => r.below(VOCABULARY)));
const rowsOf = (x: Tensor, from: number, to: number): Tensor =>
  x.data instanceof Float32Array
    ? float32(x.data.slice(2 * from, 2 * to), [to - from, 2])
    : int32(Int32Array.from(x.data, Number).slice(from, to));

const losses: Readonly<
  Record<
    string,
    { readonly against: Tensor; readonly build: (y: Value, against: Value, head: Value[], weights: Value) => Value }
  >
> = {
  divergence: { against: teacher, build: (y, teacher, head, w) => divergence(teacher, y, head, w) },
  'cross-entropy': { against: labels, build: (y, labels, head, w) => crossEntropy(y, head, labels, w) },
};

for (const [name, { against, build }] of Object.entries(losses)) {
  t.test(`a ${name} over several blocks and slices of the vocabulary is the sum of those over its rows`, async (t) => {
    t.ok(vocabularyBlock(VOCABULARY) < 130, 'several blocks');
    const of = async (from: number, to: number, slices: readonly number[]) => {
      const weights = float32(new Float32Array(to - from).fill(0.5));
      const inputs = [rowsOf(states, from, to), rowsOf(against, from, to), HEAD, weights];
      const { output, gradients } = await evaluateWithGradients(
        compute,
        ([y, other, e, w]) => build(y!, other!, split(e!, 0, slices), w!),
        inputs,
        float32(Float32Array.of(1), []),
        [0],
      );
      return { loss: numbers(output)[0]!, gradient: numbers(gradients[0]!) };
    };
    const whole = await of(0, 130, SLICES);
    const others = [1, ...SLICES.with(-1, SLICES.at(-1)! - 1)];
    const parts = [await of(0, 50, others), await of(50, 90, others.toReversed()), await of(90, 130, SLICES)];
    t.ok(relativeError([whole.loss], [parts.reduce((sum, { loss }) => sum + loss, 0)]) < 1e-5);
    t.ok(
      relativeError(
        whole.gradient,
        parts.flatMap(({ gradient }) => gradient),
      ) < 1e-5,
    );
  });
}

t.test('slices of a vocabulary are nearly equal and leave nothing out', async (t) => {
  for (const vocabulary of [1, 15, 16, 100, 7168, 7169, 32_000, 49_152, 50_257, 128_256, 151_936]) {
    const slices = vocabularySlices(vocabulary);
    t.same([slices[0]![0], slices.at(-1)![1]], [0, vocabulary]);
    t.ok(
      slices.every(([from, to], i) => to > from && to - from <= 7168 && (i === 0 || from === slices[i - 1]![1])),
      `${slices.length} slices of ${vocabulary}`,
    );
  }
});
