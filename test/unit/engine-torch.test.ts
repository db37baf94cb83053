// Every operator of the engine compared with the values and gradients that PyTorch computed in float64
// (test/oracle/ops.py).
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { Graph } from '../../worker/engine/graph/graph.ts';
import type { Value } from '../../worker/engine/graph/graph.ts';
import { attention, rotary } from '../../worker/engine/ops/attention.ts';
import {
  add,
  cast,
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
import { gatherRows, scatterRows } from '../../worker/engine/ops/gather.ts';
import { gemm, matmul } from '../../worker/engine/ops/matrix.ts';
import { rmsNorm, softmax } from '../../worker/engine/ops/normalization.ts';
import { concat, reduceMean, reduceSum, reshape, split, transpose } from '../../worker/engine/ops/shape.ts';
import { crossEntropy, crossEntropyOfLogits } from '../../worker/engine/ops/cross-entropy.ts';
import { divergence } from '../../worker/engine/ops/divergence.ts';
import { float32 } from '../../worker/engine/graph/tensor.ts';
import type { Tensor } from '../../worker/engine/graph/tensor.ts';
import { readSafetensorsHeader } from '../../worker/safetensors/safetensors.ts';
import { compileForward, evaluateWithGradients } from '../support/evaluate-graph.ts';
import { fixtureTensors, largest, maxError, numbers, relativeError } from '../support/fixture-tensors.ts';
import { testCompute } from '../support/test-compute.ts';

const VALUE_TOLERANCE = 1e-5;
const GRADIENT_TOLERANCE = 1e-4;
/** Relative to the upstream gradient: the float32 error where terms cancel, as in a saturated softmax. */
const CANCELLATION = 1e-6;
const FIXTURES = fileURLToPath(new URL('../fixtures', import.meta.url));
const OPERATORS = new URL('../../worker/engine/ops/', import.meta.url);

interface Attributes {
  readonly transA?: boolean;
  readonly transB?: boolean;
  readonly alpha?: number;
  readonly epsilon: number;
  readonly axes: readonly number[];
  readonly axis: number;
  readonly keepDimensions: boolean;
  readonly shape: readonly number[];
  readonly permutation: readonly number[];
  readonly sizes: readonly number[];
  readonly parts: readonly number[];
}

interface Case {
  readonly name: string;
  readonly op: string;
  readonly attributes: Attributes;
  readonly inputs: readonly string[];
  readonly output: string;
  readonly upstream: string;
  readonly gradients: readonly (string | null)[];
}

type Build = (inputs: Value[], attributes: Attributes) => Value;

const width = (x: Value) => Number(x.shape.at(-1));
const identityMatrix = ({ graph }: Value, n: number) =>
  graph.constant(
    float32(
      Float32Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0)),
      [n, n],
    ),
  );
/** A head in two uneven slices. */
const slices = (head: Value) => split(head, 0, [1, Number(head.shape[0]) - 1]);

/** Builds the `op` of a case with the engine. A case with one input uses it for both operands. */
const builds: Readonly<Record<string, Build>> = {
  gemm: ([a, b, c], { transA = false, transB = false, alpha = 1 }) => gemm(a!, b!, { transA, transB, alpha, c }),
  matmul: ([a, b], { transA = false, transB = false, alpha = 1 }) => matmul(a!, b!, { transA, transB, alpha }),
  add: ([a, b]) => add(a!, b ?? a!),
  sub: ([a, b]) => sub(a!, b ?? a!),
  mul: ([a, b]) => mul(a!, b ?? a!),
  div: ([a, b]) => div(a!, b ?? a!),
  neg: ([x]) => neg(x!),
  exp: ([x]) => exp(x!),
  log: ([x]) => log(x!),
  sqrt: ([x]) => sqrt(x!),
  sigmoid: ([x]) => sigmoid(x!),
  square: ([x]) => square(x!),
  silu: ([x]) => mul(x!, sigmoid(x!)),
  swiglu: ([gate, up]) => swiglu(gate!, up!),
  softmax: ([x]) => softmax(x!),
  rmsNorm: ([x, w], { epsilon }) => rmsNorm(x!, w!, epsilon),
  reduceSum: ([x], { axes, keepDimensions }) => reduceSum(x!, axes, keepDimensions),
  reduceMean: ([x], { axes, keepDimensions }) => reduceMean(x!, axes, keepDimensions),
  reshape: ([x], { shape }) => reshape(x!, shape),
  transpose: ([x], { permutation }) => transpose(x!, permutation),
  concat: (xs, { axis }) => concat(xs, axis),
  split: ([x], { axis, sizes, parts }) => {
    const all = split(x!, axis, sizes);
    return concat(
      parts.map((part) => all[part]!),
      axis,
    );
  },
  gatherRows: ([x, index]) => gatherRows(x!, index!),
  scatterRows: ([y, index, like]) => scatterRows(y!, index!, like!),
  rotary: ([x, cos, sin]) => rotary(x!, cos!, sin!),
  attention: ([q, k, v, mask]) => attention(q!, k!, v!, mask!),
  crossEntropy: ([y, head, labels, weights]) => crossEntropy(y!, slices(head!), labels!, weights!),
  crossEntropyOfLogits: ([z, labels, weights]) => crossEntropyOfLogits(z!, labels!, weights!),
  divergence: ([teacher, student, head, weights]) => divergence(teacher!, student!, slices(head!), weights!),
  divergenceOfLogits: ([zT, zS, weights]) => divergence(zT!, zS!, slices(identityMatrix(zS!, width(zS!))), weights!),
};

/** Operators without a gradient, because nothing is trained through them. */
const FORWARD_ONLY = ['scatterRows'];
/**
 * PyTorch draws other masks and pads differently; test/unit/engine-gradients.test.ts checks these, and
 * test/unit/engine-linear.test.ts and engine-int4.test.ts check products with quantised matrices, and
 * engine-whole-attention.test.ts compares attention without a gradient with `attention`.
 */
const WITHOUT_TORCH = [
  'dropout',
  'padRows',
  'unpadRows',
  'placesOf',
  'linear',
  'int8Matrix',
  'zeroPointTerms',
  'termsShape',
  'int4Matrix',
  'nanIfNotFinite',
  'reducedRows',
  'wholeAttention',
  'wholeSequences',
];
/** Exported operators that cases cover through another operator. */
const PARTS: Readonly<Record<string, string>> = {
  zerosLike: 'scatterRows',
  negativeLogLikelihood: 'crossEntropyOfLogits',
  crossEntropyElements: 'crossEntropy',
  inBlocks: 'divergence',
  divergenceElements: 'divergence',
  vocabularySlices: 'divergence',
  vocabularyBlock: 'divergence',
  heldElements: 'divergence',
  vocabularyOf: 'divergence',
  joinSlices: 'divergence',
  logSumExp: 'divergence',
};

const { cases }: { cases: readonly Case[] } = JSON.parse(readFileSync(`${FIXTURES}/ops.json`, 'utf8'));
const tensor = fixtureTensors(`${FIXTURES}/ops.safetensors`);
const compute = testCompute();
t.teardown(() => compute.close());

for (const { name, op, attributes, inputs: names, output, upstream, gradients } of cases.filter(
  ({ op }) => op !== 'cast',
)) {
  t.test(name, async (t) => {
    const build = builds[op];
    if (!build) return t.fail(`this test does not know how to build ${op}`);
    const inputs = names.map(tensor);
    const wanted = FORWARD_ONLY.includes(op) ? [] : gradients.flatMap((gradient, i) => (gradient ? [i] : []));
    const expected = tensor(output);
    const found = await evaluate(inputs, wanted);
    t.same(found.output.shape, expected.shape, 'shape');
    const error = relativeError(numbers(found.output), numbers(expected));
    t.ok(error <= VALUE_TOLERANCE, `value: relative error ${error}`);
    wanted.forEach((input, i) => {
      const gradient = numbers(tensor(gradients[input]!));
      const error = maxError(numbers(found.gradients[i]!), gradient);
      const tolerance = GRADIENT_TOLERANCE * largest(gradient) + CANCELLATION * largest(numbers(tensor(upstream)));
      t.ok(error <= tolerance, `gradient of input ${input}: error ${error}, allowed ${tolerance}`);
    });

    async function evaluate(inputs: Tensor[], wanted: number[]) {
      const built = (values: Value[]) => build!(values, attributes);
      if (wanted.length > 0) return evaluateWithGradients(compute, built, inputs, tensor(upstream), wanted);
      const forward = await compileForward(compute, built, inputs);
      return { output: await forward.run(inputs), gradients: [] };
    }
  });
}

t.test('cast: a bfloat16 weight, read in place from a file', async (t) => {
  for (const { inputs, output } of cases.filter(({ op }) => op === 'cast')) {
    const { offset, bytes, shape } = readSafetensorsHeader(`${FIXTURES}/ops.safetensors`).tensors.get(inputs[0]!)!;
    const graph = new Graph();
    graph.output(
      'y',
      cast(graph.weight('w', 'bfloat16', shape, { file: 'ops.safetensors', offset, bytes }), 'float32'),
    );
    const session = await compute.load(graph, FIXTURES);
    const { outputs } = await session.run({ feeds: {}, fetch: ['y'] });
    t.same(outputs['y']!.data, tensor(output).data, 'to the bit');
  }
});

t.test('every operator of the engine has a case', async (t) => {
  const tested = new Set(cases.map(({ op }) => op));
  for (const file of readdirSync(OPERATORS)) {
    const module: Readonly<Record<string, unknown>> = await import(new URL(file, OPERATORS).href);
    for (const [name, exported] of Object.entries(module)) {
      if (typeof exported !== 'function' || WITHOUT_TORCH.includes(name)) continue;
      t.ok(tested.has(PARTS[name] ?? name), `${file}: ${name}`);
    }
  }
});
