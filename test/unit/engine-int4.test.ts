// Products with matrices in 4 bits, which are read in place from a file, compared with what they stand for.
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Compute } from '../../worker/engine/compute.ts';
import { gradients } from '../../worker/engine/graph/gradient.ts';
import { Graph } from '../../worker/engine/graph/graph.ts';
import type { Value } from '../../worker/engine/graph/graph.ts';
import { float32 } from '../../worker/engine/graph/tensor.ts';
import { matrixProduct } from '../../worker/engine/matrix-product.ts';
import { add, mul, square } from '../../worker/engine/ops/elementwise.ts';
import { int4Matrix } from '../../worker/engine/ops/int4-matrix.ts';
import { linear } from '../../worker/engine/ops/linear.ts';
import type { MatrixProduct, QuantizedMatrix } from '../../worker/engine/ops/linear.ts';
import { reduceSum } from '../../worker/engine/ops/shape.ts';
import { packInt4 } from '../../worker/model/weights/int4-matrix.ts';
import type { Int4Matrix } from '../../worker/model/weights/int4-matrix.ts';
import { randomStream } from '../../worker/random.ts';
import { numbers, relativeError } from '../support/fixture-tensors.ts';
import { fromInt4 } from '../support/int4.ts';
import { anonymousBytes, childrenOf, peakOfChildren } from '../support/peak-memory.ts';
import { checkUnusualRows, randomRows } from '../support/rows.ts';
import { testCompute } from '../support/test-compute.ts';

const seed = Number(process.env['TEST_SEED'] ?? 32);
t.comment(`seed ${seed}`);
const compute = testCompute();
t.teardown(() => compute.close());
const folder = t.testdir({});

interface Matrix extends Int4Matrix {
  readonly inputs: number;
  readonly outputs: number;
  /** Of its file. */
  readonly name: string;
}

function randomMatrix(inputs: number, outputs: number, name = `${inputs}x${outputs}`): Matrix {
  const r = randomStream(seed, 'matrix', name);
  const blocks = (outputs * inputs) / 32;
  const levels = Uint8Array.from({ length: outputs * inputs }, () => r.below(16));
  const zeros = Uint8Array.from({ length: blocks }, () => r.below(16));
  const scales = Float32Array.from({ length: blocks }, () => 0.001 + 0.01 * r.uniform());
  const matrix = packInt4({ levels, scales, zeros }, inputs);
  const { values, zeroPoints } = matrix;
  writeFileSync(join(folder, name), Buffer.concat([Buffer.from(scales.buffer), values, zeroPoints]));
  return { ...matrix, inputs, outputs, name };
}

function inGraph(graph: Graph, matrix: Matrix, product: MatrixProduct): QuantizedMatrix {
  const { inputs, outputs, name: file, scales, values, zeroPoints } = matrix;
  const placed = (dtype: Value['dtype'], shape: number[], offset: number, bytes: number) =>
    graph.weight(`${file}.${dtype}.${offset}`, dtype, shape, { file, offset, bytes });
  const [first, second] = [scales.byteLength, scales.byteLength + values.byteLength];
  const blocks = inputs / 32;
  return int4Matrix(
    {
      values: (as) => placed(as, as === 'uint4' ? [outputs, inputs] : [outputs, blocks, 16], first, values.byteLength),
      scales: placed('float32', [outputs, blocks], 0, scales.byteLength),
      zeroPoints: (as) => placed(as, [outputs, as === 'uint4' ? blocks : blocks / 2], second, zeroPoints.byteLength),
    },
    product,
  );
}

/** x·Wᵀ, both as given. */
function multiplied(x: Float32Array, w: Float32Array, inputs: number): number[] {
  const [rows, outputs] = [x.length / inputs, w.length / inputs];
  return Array.from({ length: rows * outputs }, (_, at) => {
    const [row, output] = [Math.floor(at / outputs) * inputs, (at % outputs) * inputs];
    let y = 0;
    for (let i = 0; i < inputs; i++) y += x[row + i]! * w[output + i]!;
    return y;
  });
}

/** Rows of whole blocks, each block in 8 bits with a scale of its own. */
function inInt8(x: Float32Array): Float32Array {
  const rounded = new Float32Array(x.length);
  for (let from = 0; from < x.length; from += 32) {
    const block = x.subarray(from, from + 32);
    const scale = block.reduce((largest, v) => Math.max(largest, Math.abs(v)), 0) / 127;
    block.forEach((v, i) => (rounded[from + i] = scale * Math.round(v / scale)));
  }
  return rounded;
}

async function multiply(x: Float32Array, matrix: Matrix, product: MatrixProduct): Promise<number[]> {
  const graph = new Graph();
  const rows = graph.input('x', 'float32', ['rows', matrix.inputs]);
  graph.output('y', linear(rows, inGraph(graph, matrix, product)));
  const session = await compute.load(graph, folder);
  const feeds = { x: float32(x, [x.length / matrix.inputs, matrix.inputs]) };
  const { outputs } = await session.run({ feeds, fetch: ['y'] });
  await session.release();
  return numbers(outputs['y']!);
}

const products = (['Float32', 'Int8'] as const).filter(
  (product) => product === 'Float32' || matrixProduct(compute.provider) === product,
);

for (const product of products) {
  for (const [rows, inputs, outputs] of [
    [5, 64, 24],
    [1, 128, 3],
    [33, 576, 192],
  ] as const)
    t.test(`${product}: ${rows} rows by a matrix of ${inputs} inputs and ${outputs} outputs`, async (t) => {
      const [x, matrix] = [randomRows(seed, rows, inputs), randomMatrix(inputs, outputs)];
      const w = fromInt4(matrix, inputs);
      const expected = multiplied(product === 'Int8' ? inInt8(x) : x, w, inputs);
      const found = await multiply(x, matrix, product);
      const error = relativeError(found, expected);
      t.ok(error < (product === 'Int8' ? 2e-3 : 1e-5), `relative error ${error}`);
      if (product === 'Float32') return;
      const rounding = relativeError(found, multiplied(x, w, inputs));
      t.ok(rounding > 1e-5 && rounding < 0.02, `x is rounded: ${rounding} from the product with float32 rows`);
    });

  t.test(`${product}: rows of zeros, and rows that are not finite`, async (t) => {
    await checkUnusualRows(t, seed, (x) => multiply(x, randomMatrix(64, 5), product));
  });
}

t.test('the gradient is that of what the matrix stands for, and accumulates', async (t) => {
  const [inputs, outputs, rows] = [128, 20, 6];
  const matrices = [randomMatrix(inputs, outputs, 'a'), randomMatrix(inputs, outputs, 'b')];
  const graph = new Graph();
  const x = graph.input('x', 'float32', ['rows', inputs]);
  const upstream = graph.input('upstream', 'float32', ['rows', outputs]);
  const y = matrices.map((matrix) => linear(x, inGraph(graph, matrix, 'Float32'))).reduce((a, b) => add(a, b));
  const [dx] = gradients(reduceSum(mul(y, upstream), [0, 1], false), [x]);
  graph.output('dx', dx!);
  const session = await compute.load(graph, folder);
  const dy = randomRows(seed, rows, outputs);
  const feeds = { x: float32(randomRows(seed, rows, inputs), [rows, inputs]), upstream: float32(dy, [rows, outputs]) };
  const found = numbers((await session.run({ feeds, fetch: ['dx'] })).outputs['dx']!);
  const expected = matrices
    .map((matrix) => multiplied(dy, transposed(fromInt4(matrix, inputs), inputs), outputs))
    .reduce((a, b) => a.map((v, i) => v + b[i]!));
  const error = relativeError(found, expected);
  t.ok(error < 1e-5, `relative error ${error}`);
});

t.test('a graph is large by the float32 copies that its gradient reads', async (t) => {
  const [inputs, outputs] = [64, 32];
  const matrix = randomMatrix(inputs, outputs, 'sized');
  const graph = new Graph();
  const x = graph.input('x', 'float32', ['rows', inputs]);
  const y = linear(x, inGraph(graph, matrix, 'Float32'));
  const own = new Compute({ threads: 1, provider: 'cpu', copiedWeightBytes: 2 * inputs * outputs - 1 });
  t.teardown(() => own.close());
  t.notOk(own.isLarge(graph), 'without a gradient');
  gradients(reduceSum(y, [0, 1], false), [x]);
  t.ok(own.isLarge(graph), 'as in half precision');
});

function transposed(w: Float32Array, inputs: number): Float32Array {
  const outputs = w.length / inputs;
  return Float32Array.from(w, (_, at) => w[(at % outputs) * inputs + Math.floor(at / outputs)]!);
}

const noProc = existsSync('/proc/self/status') ? false : 'SKIPPED: no /proc, which reports memory that no file backs';

t.test('a gradient of a large graph holds float32 copies of a few matrices at once', { skip: noProc }, async (t) => {
  const [width, count, rows] = [1024, 24, 8];
  const graph = new Graph();
  const x = graph.input('x', 'float32', ['rows', width]);
  let h = x;
  for (let i = 0; i < count; i++) {
    h = linear(h, inGraph(graph, randomMatrix(width, width, `layer${i}`), 'Float32'));
  }
  const [dx] = gradients(reduceSum(square(h), [0, 1], false), [x]);
  graph.output('dx', dx!);
  const own = new Compute({ threads: 1, provider: 'cpu', copiedWeightBytes: 0 });
  t.teardown(() => own.close());
  const session = await own.load(graph, folder, 'often');
  const loaded = Math.max(...childrenOf(process.pid).map(anonymousBytes));
  const feeds = { x: float32(randomRows(seed, rows, width), [rows, width]) };
  const { peak } = await peakOfChildren(async () => {
    for (let i = 0; i < 4; i++) await session.run({ feeds, fetch: ['dx'] });
  });
  const copies = (peak - loaded) / (4 * width * width);
  t.ok(copies < 6, `${copies.toFixed(1)} of ${count} matrices at once`);
});
