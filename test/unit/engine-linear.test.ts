// Products with matrices in 8 bits, compared with the same arithmetic in float64.
import t from 'tap';
import { multipliesBytes, matrixProduct } from '../../worker/engine/matrix-product.ts';
import { int8Matrix, termsShape, zeroPointTerms } from '../../worker/engine/ops/int8-matrix.ts';
import type { Int8Parts } from '../../worker/engine/ops/int8-matrix.ts';
import { linear } from '../../worker/engine/ops/linear.ts';
import type { MatrixProduct, QuantizedMatrix } from '../../worker/engine/ops/linear.ts';
import { add } from '../../worker/engine/ops/elementwise.ts';
import { gemm } from '../../worker/engine/ops/matrix.ts';
import { Graph } from '../../worker/engine/graph/graph.ts';
import { float32 } from '../../worker/engine/graph/tensor.ts';
import type { Tensor } from '../../worker/engine/graph/tensor.ts';
import { randomStream } from '../../worker/random.ts';
import { compileForward, evaluateWithGradients } from '../support/evaluate-graph.ts';
import { maxError, numbers, relativeError } from '../support/fixture-tensors.ts';
import { checkUnusualRows, randomRows } from '../support/rows.ts';
import { testCompute } from '../support/test-compute.ts';

const seed = Number(process.env['TEST_SEED'] ?? 31);
const compute = testCompute();
t.teardown(() => compute.close());
t.comment(`seed ${seed}`);
const inexact =
  matrixProduct(compute.provider) === 'Int8' ? false : 'NOT CHECKED: this processor does not multiply bytes exactly';

interface Matrix {
  readonly inputs: number;
  readonly outputs: number;
  /** [inputs, outputs]. */
  readonly values: Int8Array;
  readonly scales: Float32Array;
}

function randomMatrix(inputs: number, outputs: number): Matrix {
  const r = randomStream(seed, 'matrix', inputs, outputs);
  return {
    inputs,
    outputs,
    values: Int8Array.from({ length: inputs * outputs }, () => r.below(255) - 127),
    scales: Float32Array.from({ length: outputs }, () => 0.001 + 0.01 * r.uniform()),
  };
}

const valuesIn =
  (graph: Graph, { inputs, outputs, values }: Matrix): Int8Parts['values'] =>
  ([from, to] = [0, inputs]) =>
    graph.constant({ dtype: 'int8', shape: [to - from, outputs], data: values.slice(from * outputs, to * outputs) });

const inGraph = (graph: Graph, matrix: Matrix, product: MatrixProduct): QuantizedMatrix =>
  int8Matrix({ values: valuesIn(graph, matrix), scales: graph.constant(float32(matrix.scales)) }, product);

/** The same for single rows, in integers. */
function forSingleRows(graph: Graph, matrix: Matrix): QuantizedMatrix {
  const values = valuesIn(graph, matrix);
  const terms = zeroPointTerms(values, matrix.inputs);
  return int8Matrix({ values, scales: graph.constant(float32(matrix.scales)), terms }, 'Int8');
}

/** W [out, in] in float32. */
const widened = ({ inputs, outputs, values, scales }: Matrix): Tensor =>
  float32(
    Float32Array.from({ length: outputs * inputs }, (_, i) => {
      const [output, input] = [Math.floor(i / inputs), i % inputs];
      return scales[output]! * values[input * outputs + output]!;
    }),
    [outputs, inputs],
  );

async function multiply(
  x: Float32Array,
  matrix: Matrix,
  product: MatrixProduct | ((graph: Graph) => QuantizedMatrix),
): Promise<Tensor> {
  const rows = float32(x, [x.length / matrix.inputs, matrix.inputs]);
  const inThe = (graph: Graph) => (typeof product === 'string' ? inGraph(graph, matrix, product) : product(graph));
  const forward = await compileForward(compute, ([x]) => linear(x!, inThe(x!.graph)), [rows]);
  const y = await forward.run([rows]);
  await forward.release();
  return y;
}

/** x·Wᵀ with each row of x rounded to 8 bits in four blocks. */
function reference(x: Float32Array, { inputs, outputs, values, scales }: Matrix): number[] {
  const size = Math.ceil(inputs / 4);
  return Array.from({ length: (x.length / inputs) * outputs }, (_, at) => {
    const row = x.subarray(Math.floor(at / outputs) * inputs).subarray(0, inputs);
    let y = 0;
    for (let from = 0; from < inputs; from += size) {
      const block = row.subarray(from, from + size);
      const scale = Math.fround(block.reduce((largest, v) => Math.max(largest, Math.abs(v)), 0) / 127) || 1;
      block.forEach((v, i) => (y += scale * Math.round(v / scale) * values[(from + i) * outputs + (at % outputs)]!));
    }
    return y * scales[at % outputs]!;
  });
}

for (const [rows, inputs, outputs] of [
  [5, 64, 24],
  [1, 10, 3],
  [2, 7, 2],
  [33, 576, 192],
] as const) {
  t.test(`Int8: ${rows} rows by a matrix of ${inputs} inputs and ${outputs} outputs`, { skip: inexact }, async (t) => {
    const [x, matrix] = [randomRows(seed, rows, inputs), randomMatrix(inputs, outputs)];
    const y = await multiply(x, matrix, 'Int8');
    t.same(y.shape, [rows, outputs]);
    const error = relativeError(numbers(y), reference(x, matrix));
    t.ok(error < 1e-4, `relative error ${error}`);
    const rounding = relativeError(numbers(y), numbers(await multiply(x, matrix, 'Float32')));
    t.ok(rounding > 1e-5 && rounding < 0.02, `x is rounded: ${rounding} from the product with float32 rows`);
  });
}

t.test('Int8: the largest integers do not saturate', { skip: inexact }, async (t) => {
  const inputs = 512;
  for (const sign of [1, -1]) {
    const values = new Int8Array(inputs * 8).fill(127 * sign);
    const matrix = { inputs, outputs: 8, values, scales: new Float32Array(8).fill(1) };
    for (const product of ['Int8', (graph: Graph) => forSingleRows(graph, matrix)] as const) {
      const y = await multiply(new Float32Array(inputs).fill(2), matrix, product);
      t.ok(maxError(numbers(y), Array<number>(8).fill(sign * 2 * 127 * inputs)) < 0.1, `${numbers(y)[0]}`);
    }
  }
});

t.test(
  'Int8: products for single rows have the same bits, for one row and for several',
  { skip: inexact },
  async (t) => {
    for (const [inputs, outputs] of [
      [10, 3],
      [7, 2],
      [5, 70],
      [576, 192],
      [301, 1000],
    ] as const) {
      const matrix = randomMatrix(inputs, outputs);
      const x = randomRows(seed, 3, inputs);
      const single = (x: Float32Array) => multiply(x, matrix, (graph) => forSingleRows(graph, matrix));
      const expected = numbers(await multiply(x, matrix, 'Int8'));
      t.same(numbers(await single(x)), expected, `${inputs} inputs, three rows`);
      const rows = [0, 1, 2].map((row) => single(x.subarray(row * inputs, (row + 1) * inputs)));
      t.same((await Promise.all(rows)).flatMap(numbers), expected, `${inputs} inputs, row by row`);
      const terms = zeroPointTerms(valuesIn(new Graph(), matrix), inputs);
      t.same(termsShape([inputs, outputs]), terms.shape);
    }
  },
);

for (const product of ['Int8', 'Float32'] as const) {
  t.test(
    `${product}: rows of zeros, and rows that are not finite`,
    { skip: product === 'Int8' && inexact },
    async (t) => {
      const matrix = randomMatrix(64, 5);
      await checkUnusualRows(t, seed, async (x) => numbers(await multiply(x, matrix, product)));
    },
  );

  t.test(
    `${product}: the gradient is that of the widened matrix, and accumulates`,
    { skip: product === 'Int8' && inexact },
    async (t) => {
      const matrices = [randomMatrix(48, 20), randomMatrix(48, 20)].map((matrix, i) => ({
        ...matrix,
        scales: matrix.scales.map((s) => s * (i + 1)),
      }));
      const x = float32(randomRows(seed, 6, 48), [6, 48]);
      const upstream = float32(randomRows(seed, 6, 20), [6, 20]);
      const sumOf = (products: (x: Parameters<typeof linear>[0]) => Parameters<typeof linear>[0][]) =>
        evaluateWithGradients(compute, ([x]) => products(x!).reduce((a, b) => add(a, b)), [x], upstream, [0]);
      const quantized = await sumOf((x) => matrices.map((matrix) => linear(x, inGraph(x.graph, matrix, product))));
      const float = await sumOf((x) =>
        matrices.map((matrix) => gemm(x, x.graph.constant(widened(matrix)), { transB: true })),
      );
      const error = relativeError(numbers(quantized.gradients[0]!), numbers(float.gradients[0]!));
      t.ok(error < 1e-5, `relative error ${error}`);
    },
  );
}

t.test('which processors multiply bytes exactly', async (t) => {
  t.ok(multipliesBytes('processor\t: 0\nflags\t\t: fpu avx2 avx512_vnni\n'));
  t.ok(multipliesBytes('flags\t\t: fpu avx2 avx_vnni avx512f\n'));
  t.ok(multipliesBytes('processor\t: 0\nFeatures\t: fp asimd asimddp\n'));
  t.notOk(multipliesBytes('flags\t\t: fpu avx2 avx512f\n'), 'AVX2 saturates');
  t.notOk(multipliesBytes('Features\t: fp asimd\n'));
  t.notOk(multipliesBytes(''), 'not known');
  t.equal(matrixProduct('cuda'), 'Float32');
});
