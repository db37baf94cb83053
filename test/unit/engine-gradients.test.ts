import t from 'tap';
import { attention, rotary } from '../../worker/engine/ops/attention.ts';
import { dropout } from '../../worker/engine/ops/dropout.ts';
import {
  add,
  div,
  exp,
  log,
  mul,
  neg,
  sigmoid,
  sqrt,
  square,
  sub,
  swiglu,
} from '../../worker/engine/ops/elementwise.ts';
import { gatherRows } from '../../worker/engine/ops/gather.ts';
import { gemm, matmul } from '../../worker/engine/ops/matrix.ts';
import { rmsNorm, softmax } from '../../worker/engine/ops/normalization.ts';
import { padRows, placesOf, unpadRows } from '../../worker/engine/ops/padding.ts';
import { concat, reduceMean, reduceSum, reshape, split, transpose } from '../../worker/engine/ops/shape.ts';
import { crossEntropy, crossEntropyOfLogits } from '../../worker/engine/ops/cross-entropy.ts';
import { divergence } from '../../worker/engine/ops/divergence.ts';
import { float32, int32 } from '../../worker/engine/graph/tensor.ts';
import type { Tensor } from '../../worker/engine/graph/tensor.ts';
import { randomStream } from '../../worker/random.ts';
import type { RandomStream } from '../../worker/random.ts';
import { compileForward, evaluateWithGradients } from '../support/evaluate-graph.ts';
import type { Build } from '../support/evaluate-graph.ts';
import { testCompute } from '../support/test-compute.ts';

/** Central differences in float32: step h has error O(h²) + O(ε/h); h = 0.01 balances them for values around 1. */
const STEP = 0.01;
const TOLERANCE = 5e-3;
const seed = Number(process.env['TEST_SEED'] ?? 20);
const compute = testCompute();
t.teardown(() => compute.close());
t.comment(`seed ${seed}`);

type Make = (r: RandomStream) => Tensor;
const elements = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
const normal =
  (...shape: number[]): Make =>
  (r) =>
    float32(
      Float32Array.from({ length: elements(shape) }, () => r.normal()),
      shape,
    );
const positive =
  (...shape: number[]): Make =>
  (r) =>
    float32(
      Float32Array.from({ length: elements(shape) }, () => 0.5 + r.uniform()),
      shape,
    );
const indices =
  (n: number, below: number): Make =>
  (r) =>
    int32(Int32Array.from({ length: n }, () => r.below(below)));
const integers =
  (shape: readonly number[], ...values: number[]): Make =>
  () =>
    int32(Int32Array.from(values), shape);
const keyed =
  (key: bigint): Make =>
  () => ({ dtype: 'int64', shape: [1], data: BigInt64Array.of(key) });
const causalMask =
  (n: number): Make =>
  () =>
    float32(
      Float32Array.from({ length: n * n }, (_, i) => (i % n > Math.floor(i / n) ? -1e9 : 0)),
      [n, n],
    );

interface Case {
  readonly name: string;
  readonly build: Build;
  readonly inputs: readonly Make[];
  /** Inputs to check; all float32 ones if absent. */
  readonly wanted?: readonly number[];
}

const cases: Case[] = [
  { name: 'add', build: ([a, b]) => add(a!, b!), inputs: [normal(3, 4), normal(3, 4)] },
  { name: 'add, row broadcast', build: ([a, b]) => add(a!, b!), inputs: [normal(3, 4), normal(4)] },
  { name: 'sub, column broadcast', build: ([a, b]) => sub(a!, b!), inputs: [normal(3, 1), normal(3, 4)] },
  { name: 'sub from a number', build: ([a]) => sub(1, a!), inputs: [normal(3)] },
  { name: 'mul, both broadcast', build: ([a, b]) => mul(a!, b!), inputs: [normal(3, 1), normal(1, 4)] },
  { name: 'mul by a number', build: ([a]) => mul(a!, 2.5), inputs: [normal(3)] },
  { name: 'div', build: ([a, b]) => div(a!, b!), inputs: [normal(3, 4), positive(4)] },
  { name: 'neg', build: ([a]) => neg(a!), inputs: [normal(4)] },
  { name: 'exp', build: ([a]) => exp(a!), inputs: [normal(4)] },
  { name: 'log', build: ([a]) => log(a!), inputs: [positive(4)] },
  { name: 'sqrt', build: ([a]) => sqrt(a!), inputs: [positive(4)] },
  { name: 'square: a value used twice', build: ([a]) => square(a!), inputs: [normal(4)] },
  { name: 'sigmoid', build: ([a]) => sigmoid(a!), inputs: [normal(4)] },
  { name: 'swiglu', build: ([a, b]) => swiglu(a!, b!), inputs: [normal(3, 4), normal(3, 4)] },
  { name: 'softmax', build: ([a]) => softmax(a!), inputs: [normal(3, 5)] },
  { name: 'rmsNorm', build: ([x, w]) => rmsNorm(x!, w!, 1e-5), inputs: [normal(3, 6), normal(6)] },
  { name: 'reshape', build: ([a]) => reshape(a!, [4, 3]), inputs: [normal(2, 6)] },
  { name: 'transpose', build: ([a]) => transpose(a!, [2, 0, 1]), inputs: [normal(2, 3, 4)] },
  { name: 'concat', build: ([a, b]) => concat([a!, b!], 1), inputs: [normal(2, 3), normal(2, 4)] },
  {
    name: 'split, one part unused',
    build: ([a]) => mul(split(a!, 0, [2, 3, 2])[0]!, split(a!, 0, [2, 3, 2])[2]!),
    inputs: [normal(7)],
  },
  { name: 'reduceSum', build: ([a]) => reduceSum(a!, [0, 2], false), inputs: [normal(2, 3, 4)] },
  { name: 'reduceSum, axes kept', build: ([a]) => reduceSum(a!, [1], true), inputs: [normal(2, 3)] },
  { name: 'reduceMean', build: ([a]) => reduceMean(a!, [-1], true), inputs: [normal(2, 3)] },
  {
    name: 'gatherRows, an index twice',
    build: ([a, i]) => gatherRows(a!, i!),
    inputs: [normal(3, 4), () => int32(Int32Array.of(2, 0, 2, 2))],
  },
  ...[false, true].flatMap((transA) =>
    [false, true].map((transB): Case => ({
      name: `gemm${transA ? ' Aᵀ' : ''}${transB ? ' Bᵀ' : ''} with addend`,
      build: ([a, b, c]) => gemm(a!, b!, { transA, transB, alpha: 0.5, c: c! }),
      inputs: [transA ? normal(4, 3) : normal(3, 4), transB ? normal(5, 4) : normal(4, 5), normal(3, 5)],
    })),
  ),
  {
    name: 'gemm, gradients accumulate',
    build: ([x, a, b]) => add(gemm(x!, a!), gemm(x!, b!)),
    inputs: [normal(3, 4), normal(4, 2), normal(4, 2)],
  },
  ...[false, true].flatMap((transA) =>
    [false, true].map((transB): Case => ({
      name: `matmul${transA ? ' Aᵀ' : ''}${transB ? ' Bᵀ' : ''}`,
      build: ([a, b]) => matmul(a!, b!, { transA, transB, alpha: 0.5 }),
      inputs: [transA ? normal(2, 4, 3) : normal(2, 3, 4), transB ? normal(2, 5, 4) : normal(2, 4, 5)],
    })),
  ),
  {
    name: 'rotary',
    build: ([x, c, s]) => rotary(x!, c!, s!),
    inputs: [normal(2, 2, 3, 4), normal(2, 3, 2), normal(2, 3, 2)],
    wanted: [0],
  },
  {
    name: 'rotary, heads joined',
    build: ([x, c, s]) => rotary(x!, c!, s!),
    inputs: [normal(2, 3, 8), normal(2, 3, 2), normal(2, 3, 2)],
    wanted: [0],
  },
  { name: 'dropout', build: ([x, key]) => dropout(x!, 0.4, key!, 3), inputs: [normal(5, 7), keyed(11n)], wanted: [0] },
  {
    // Sequences of two rows and of one, in 2 × 2 cells. The values of padding are never read.
    name: 'padRows and unpadRows',
    build: ([x, w, cells, rowsOfCells]) => {
      const places = placesOf(cells!, rowsOfCells!);
      return unpadRows(mul(padRows(x!, places), w!), places);
    },
    inputs: [normal(3, 2), normal(1, 2), integers([3], 0, 1, 2), integers([2, 2], 0, 1, 2, -1)],
    wanted: [0, 1],
  },
  {
    name: 'attention, grouped heads, causal',
    build: ([q, k, v, mask]) => attention(q!, k!, v!, mask!),
    inputs: [normal(2, 4, 3, 4), normal(2, 2, 3, 4), normal(2, 2, 3, 4), causalMask(3)],
    wanted: [0, 1, 2],
  },
  {
    name: 'crossEntropy',
    build: ([y, head, labels, w]) => crossEntropy(y!, split(head!, 0, [3, 2, 1]), labels!, w!),
    inputs: [normal(4, 3), normal(6, 3), indices(4, 6), positive(4)],
    wanted: [0],
  },
  {
    name: 'crossEntropyOfLogits',
    build: ([z, labels, w]) => crossEntropyOfLogits(z!, labels!, w!),
    inputs: [normal(4, 6), indices(4, 6), positive(4)],
    wanted: [0],
  },
  {
    name: 'divergence',
    build: ([teacher, student, head, w]) => divergence(teacher!, student!, split(head!, 0, [3, 2, 1]), w!),
    inputs: [normal(4, 3), normal(4, 3), normal(6, 3), positive(4)],
    wanted: [1],
  },
];

for (const { name, build, inputs: makes, wanted } of cases) {
  t.test(name, async (t) => {
    const r = randomStream(seed, name);
    const inputs = makes.map((make) => make(r));
    const checked = wanted ?? inputs.flatMap((tensor, i) => (tensor.dtype === 'float32' ? [i] : []));
    const forward = await compileForward(compute, build, inputs);
    const output = await forward.run(inputs);
    const upstream = float32(
      Float32Array.from(output.data as Float32Array, () => r.normal()),
      output.shape,
    );
    const analytic = await evaluateWithGradients(compute, build, inputs, upstream, checked);
    const objective = async (tensors: readonly Tensor[]) =>
      [...((await forward.run(tensors)).data as Float32Array)].reduce(
        (sum, y, i) => sum + y * Number(upstream.data[i]),
        0,
      );

    for (const [position, index] of checked.entries()) {
      const { data, shape } = inputs[index]!;
      const moved = (at: number, by: number) =>
        objective(
          inputs.with(
            index,
            float32(
              (data as Float32Array).map((x, i) => (i === at ? x + by : x)),
              shape,
            ),
          ),
        );
      const gradient = analytic.gradients[position]!;
      t.same(gradient.shape, shape, `the gradient of input ${index} has its shape`);
      const scale = Math.max(1, ...(gradient.data as Float32Array).map(Math.abs));
      for (let at = 0; at < data.length; at++) {
        const numeric = ((await moved(at, STEP)) - (await moved(at, -STEP))) / (2 * STEP);
        const error = Math.abs(numeric - Number(gradient.data[at])) / scale;
        if (!(error < TOLERANCE))
          t.fail(`input ${index}[${at}]: ${gradient.data[at]} but finite differences say ${numeric}`);
      }
      t.pass(`input ${index}: ${data.length} partial derivatives`);
    }
    await forward.release();
  });
}

t.test('dropout follows its rate, and its key, site and element alone', async (t) => {
  const rate = 0.3;
  const ones = float32(new Float32Array(60_000).fill(1), [300, 200]);
  const dropped = async (key: bigint, site: number) => {
    const inputs = [ones, keyed(key)(randomStream(seed))];
    const forward = await compileForward(compute, ([x, k]) => dropout(x!, rate, k!, site), inputs);
    const { data } = await forward.run(inputs);
    await forward.release();
    return [...(data as Float32Array)];
  };
  const first = await dropped(5n, 0);
  const kept = first.filter((x) => x > 0);
  t.ok(
    kept.every((x) => Math.abs(x - 1 / (1 - rate)) < 1e-6),
    'what is kept is scaled to the same mean',
  );
  t.ok(Math.abs(kept.length / first.length - (1 - rate)) < 0.01, `${kept.length} of ${first.length} are kept`);
  t.same(await dropped(5n, 0), first, 'the same key gives the same mask');
  // Independent masks agree on a fraction (1 − p)² + p² of their elements.
  const agreement = (other: number[]) => other.filter((x, i) => x > 0 === first[i]! > 0).length / first.length;
  const independent = (1 - rate) ** 2 + rate ** 2;
  for (const [what, other] of [
    ['the next key', await dropped(6n, 0)],
    ['another site', await dropped(5n, 1)],
  ] as const) {
    t.ok(Math.abs(agreement(other) - independent) < 0.01, `${what} gives an independent mask`);
  }
  const neighbours = first.filter((x, i) => x > 0 === (first[i + 1] ?? 0) > 0).length / first.length;
  t.ok(Math.abs(neighbours - independent) < 0.01, 'neighbours are independent');
});
