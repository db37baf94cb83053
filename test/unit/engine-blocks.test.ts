// Rows computed in blocks are what they are when computed at once, whether blocks come out even or not.
import t from 'tap';
import { Compute } from '../../worker/engine/compute.ts';
import { inBlocks } from '../../worker/engine/ops/blocks.ts';
import { gemm } from '../../worker/engine/ops/matrix.ts';
import { mul } from '../../worker/engine/ops/elementwise.ts';
import { reduceSum, split } from '../../worker/engine/ops/shape.ts';
import { divergence, divergenceBlock, vocabularySlices } from '../../worker/engine/ops/divergence.ts';
import { float32 } from '../../worker/engine/tensor.ts';
import { randomStream } from '../../worker/random.ts';
import { compileForward, evaluateWithGradients } from '../support/evaluate-graph.ts';
import { numbers, relativeError } from '../support/fixture-tensors.ts';

const compute = new Compute({ threads: 1, provider: 'cpu' });
t.teardown(() => compute.close());
const r = randomStream(1, 'blocks');
const normal = (...shape: number[]) => float32(Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => r.normal()), shape);

for (const [rows, blockRows] of [[1, 4], [4, 4], [5, 4], [8, 4], [9, 4], [7, 1]] as const) {
  t.test(`${rows} rows, blocks of at most ${blockRows}`, async (t) => {
    const inputs = [normal(rows, 3), normal(rows, 3), normal(3, 2)];
    const products = await compileForward(
      compute,
      ([a, b, weight]) => {
        // The second result tells the order of rows; the weight belongs to the graph around the body.
        const [product, sums] = inBlocks([a!, b!], blockRows, ([x, y]) => [gemm(mul(x!, y!), weight!), reduceSum(x!, [1], true)]);
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

t.test('a divergence over several blocks and slices of the vocabulary is the sum of those over its rows', async (t) => {
  const vocabulary = 300_000;
  t.ok(divergenceBlock(vocabulary) < 130, 'several blocks');
  const [teacher, student, head] = [normal(130, 2), normal(130, 2), normal(vocabulary, 2)];
  const sizes = vocabularySlices(vocabulary).map(([from, to]) => to - from);
  const of = async (from: number, to: number, slices: readonly number[]) => {
    const rows = (x: typeof teacher) => float32((x.data as Float32Array).slice(2 * from, 2 * to), [to - from, 2]);
    const weights = float32(new Float32Array(to - from).fill(0.5));
    const inputs = [rows(teacher), rows(student), head, weights];
    const { output, gradients } = await evaluateWithGradients(compute, ([yT, yS, e, w]) => divergence(yT!, yS!, split(e!, 0, slices), w!), inputs, float32(Float32Array.of(1), []), [1]);
    return { loss: numbers(output)[0]!, gradient: numbers(gradients[0]!) };
  };
  const whole = await of(0, 130, sizes);
  const others = [1, ...sizes.with(-1, sizes.at(-1)! - 1)];
  const parts = [await of(0, 50, others), await of(50, 90, others.toReversed()), await of(90, 130, sizes)];
  t.ok(relativeError([whole.loss], [parts.reduce((sum, { loss }) => sum + loss, 0)]) < 1e-5);
  t.ok(relativeError(whole.gradient, parts.flatMap(({ gradient }) => gradient)) < 1e-5);
});

t.test('slices of a vocabulary are nearly equal and leave nothing out', async (t) => {
  for (const vocabulary of [1, 15, 16, 100, 7168, 7169, 32_000, 49_152, 50_257, 128_256, 151_936]) {
    const slices = vocabularySlices(vocabulary);
    t.same([slices[0]![0], slices.at(-1)![1]], [0, vocabulary]);
    t.ok(slices.every(([from, to], i) => to > from && to - from <= 7168 && (i === 0 || from === slices[i - 1]![1])), `${slices.length} slices of ${vocabulary}`);
  }
});
