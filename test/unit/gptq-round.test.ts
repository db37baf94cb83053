// Rounding by GPTQ in panels and blocks, compared with one column after the other in float64, and with PyTorch's
// (test/oracle/gptq.py).
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { float32 } from '../../worker/engine/graph/tensor.ts';
import { factorMoments, freeFactor } from '../../worker/gptq/factor.ts';
import type { Factor } from '../../worker/gptq/factor.ts';
import { searchGrid } from '../../worker/gptq/grid.ts';
import type { Grid } from '../../worker/gptq/grid.ts';
import { Products } from '../../worker/gptq/products.ts';
import { roundColumns } from '../../worker/gptq/round.ts';
import { packInt4 } from '../../worker/model/weights/int4-matrix.ts';
import { randomStream } from '../../worker/random.ts';
import { fixtureTensors, numbers, relativeError } from '../support/fixture-tensors.ts';
import { fromInt4 } from '../support/int4.ts';
import { testCompute } from '../support/test-compute.ts';

const seed = Number(process.env['TEST_SEED'] ?? 51);
t.comment(`seed ${seed}`);
const compute = testCompute();
t.teardown(() => compute.close());
const products = new Products(compute);

interface Case {
  readonly weights: Float32Array;
  /** What the matrix reads, [tokens, in]. */
  readonly rows: Float32Array;
  readonly inputs: number;
}

/** Weights, and correlated rows of length 1, of which some inputs are much larger than others. */
function randomCase(outputs: number, inputs: number, tokens: number): Case {
  const random = randomStream(seed, 'case', outputs, inputs, tokens);
  const sizes = Float64Array.from({ length: inputs }, () => Math.exp(random.normal()));
  const rows = new Float32Array(tokens * inputs);
  for (let token = 0; token < tokens; token++) {
    const common = random.normal();
    const x = sizes.map((size) => size * (common + random.normal()));
    const length = Math.hypot(...x);
    rows.set(
      x.map((each) => each / length),
      token * inputs,
    );
  }
  return { weights: Float32Array.from({ length: outputs * inputs }, () => 0.05 * random.normal()), rows, inputs };
}

/** Σ xᵀx [in, in]. */
function momentsOf({ rows, inputs }: Case): Float64Array {
  const moments = new Float64Array(inputs * inputs);
  for (let row = 0; row < rows.length; row += inputs)
    for (let i = 0; i < inputs; i++)
      for (let j = 0; j < inputs; j++) moments[i * inputs + j]! += rows[row + i]! * rows[row + j]!;
  return moments;
}

/** The factor of the rows in two parts. */
async function factored({ rows, inputs }: Case, width: number): Promise<Factor | null> {
  const tokens = rows.length / inputs;
  const first = Math.floor(tokens / 3);
  await compute.write('first', float32(rows.subarray(0, first * inputs), [first, inputs]));
  await compute.write('rest', float32(rows.subarray(first * inputs), [tokens - first, inputs]));
  const parts = [
    { variable: 'first', rows: first },
    { variable: 'rest', rows: tokens - first },
  ];
  return factorMoments(products, parts, width);
}

async function rounded(each: Case, panel: number, width: number): Promise<Float32Array> {
  const factor = (await factored(each, panel))!;
  const grid = searchGrid(each.weights, factor.diagonal);
  const { order } = factor;
  const { inputs } = each;
  const ordered = each.weights.map((_, at) => each.weights[at - (at % inputs) + order[at % inputs]!]!);
  const found = await roundColumns(products, ordered, grid, factor, { width });
  await freeFactor(products, factor);
  const levels = new Uint8Array(found.length);
  found.forEach((level, at) => (levels[at - (at % inputs) + order[at % inputs]!] = level));
  return fromInt4(packInt4({ ...grid, levels }, inputs), inputs);
}

/** The damped moments with the inputs in an order. */
function ordered(each: Case, order: Int32Array): Float64Array {
  const { inputs } = each;
  const moments = momentsOf(each);
  const trace = moments.reduce((sum, x, at) => sum + (at % (inputs + 1) === 0 ? x : 0), 0);
  const damping = (0.01 * trace) / inputs || 1;
  return moments.map((_, at) => {
    const [i, j] = [Math.floor(at / inputs), at % inputs];
    return moments[order[i]! * inputs + order[j]!]! + (i === j ? damping : 0);
  });
}

/** U of H = U·D·Uᵀ, by its definition. */
function unitUpper(h: Float64Array, n: number): Float64Array {
  const upper = new Float64Array(n * n);
  const pivots = new Float64Array(n);
  for (let k = n - 1; k >= 0; k--) {
    for (let i = k; i >= 0; i--) {
      let sum = h[i * n + k]!;
      for (let m = k + 1; m < n; m++) sum -= upper[i * n + m]! * pivots[m]! * upper[k * n + m]!;
      if (i === k) pivots[k] = sum;
      upper[i * n + k] = sum / pivots[k]!;
    }
  }
  return upper;
}

/** One column after the other, in float64. */
function reference(each: Case, order: Int32Array, { scales, zeros }: Grid): Float32Array {
  const { weights, inputs } = each;
  const upper = unitUpper(ordered(each, order), inputs);
  const result = new Float32Array(weights.length);
  for (let row = 0; row < weights.length / inputs; row++) {
    const errors: number[] = [];
    for (let k = 0; k < inputs; k++) {
      const at = row * inputs + order[k]!;
      const block = Math.floor(at / 32);
      const wanted = errors.reduce((sum, error, j) => sum + error * upper[j * inputs + k]!, weights[at]!);
      const level = Math.max(0, Math.min(15, Math.round(wanted / scales[block]! + zeros[block]!)));
      result[at] = scales[block]! * (level - zeros[block]!);
      errors.push(weights[at]! - result[at]);
    }
  }
  return result;
}

/** Σ (w − q)·H·(w − q)ᵀ over the rows. */
function loss(each: Case, found: Float32Array): number {
  const { weights, inputs } = each;
  const moments = momentsOf(each);
  let sum = 0;
  for (let row = 0; row < weights.length; row += inputs)
    for (let i = 0; i < inputs; i++)
      for (let j = 0; j < inputs; j++)
        sum += (weights[row + i]! - found[row + i]!) * moments[i * inputs + j]! * (weights[row + j]! - found[row + j]!);
  return sum;
}

const share = (found: Float32Array, expected: Float32Array) =>
  found.filter((x, i) => Math.abs(x - expected[i]!) > 1e-6).length / found.length;

for (const [inputs, tokens, panel] of [
  [96, 300, 32],
  [96, 40, 64],
  [64, 200, 128],
] as const) {
  t.test(`the factors of the moments of ${tokens} tokens with ${inputs} inputs, in panels of ${panel}`, async (t) => {
    const each = randomCase(1, inputs, tokens);
    const { order, panels, diagonal } = (await factored(each, panel))!;
    t.same(
      [...order].toSorted((a, b) => a - b),
      [...order.keys()],
    );
    t.ok(
      order.every((input, k) => k === 0 || diagonal[input]! <= diagonal[order[k - 1]!]!),
      'falling moments',
    );
    const upper = new Float64Array(inputs * inputs);
    for (const { from, to, variable } of panels) {
      const { data, shape } = await compute.read(variable);
      t.same(shape, [to - from, to]);
      for (let k = from; k < to; k++)
        for (let i = 0; i < to; i++) upper[i * inputs + k] = Number(data[(k - from) * to + i]);
    }
    const expected = unitUpper(ordered(each, order), inputs);
    t.ok(relativeError([...upper], [...expected]) < 1e-4, `error ${relativeError([...upper], [...expected])}`);
    const pivots = panels.flatMap((panel) => [...panel.pivots]);
    const product = Float64Array.from({ length: inputs * inputs }, (_, at) =>
      pivots.reduce(
        (sum, d, m) => sum + upper[Math.floor(at / inputs) * inputs + m]! * d * upper[(at % inputs) * inputs + m]!,
        0,
      ),
    );
    const error = relativeError([...product], [...ordered(each, order)]);
    t.ok(error < 1e-5, `U·D·Uᵀ has error ${error}`);
  });
}

t.test('columns are rounded as one after the other, whatever the size of blocks and panels', async (t) => {
  const each = randomCase(20, 128, 500);
  const factor = (await factored(each, 128))!;
  const grid = searchGrid(each.weights, factor.diagonal);
  const expected = reference(each, factor.order, grid);
  for (const [panel, width] of [
    [128, 64],
    [64, 8],
    [32, 32],
    [48, 16],
  ] as const) {
    const differ = share(await rounded(each, panel, width), expected);
    t.ok(differ < 0.01, `panels of ${panel}, blocks of ${width}: ${differ} of the weights differ`);
  }
  const nearest = reference({ ...each, rows: new Float32Array(128) }, factor.order, grid);
  const ratio = loss(each, expected) / loss(each, nearest);
  t.ok(ratio < 0.7, `${ratio} of the loss of rounding to nearest`);
});

const tensor = fixtureTensors(fileURLToPath(new URL('../fixtures/gptq.safetensors', import.meta.url)));
for (const name of ['many', 'few', 'dead']) {
  t.test(`the weights that PyTorch rounds: ${name}`, async (t) => {
    const floats = (part: string) => Float32Array.from(numbers(tensor(`${name}.${part}`)));
    const each = {
      weights: floats('weights'),
      rows: floats('inputs'),
      inputs: tensor(`${name}.inputs`).shape[1]!,
    };
    const found = await rounded(each, 32, 8);
    const expected = floats('rounded');
    t.ok(share(found, expected) < 0.01, `${share(found, expected)} of the weights differ`);
    t.ok(Math.abs(loss(each, found) / loss(each, expected) - 1) < 0.01);
  });
}

t.test('if all inputs are zero, weights are rounded to nearest', async (t) => {
  const each = { ...randomCase(4, 64, 1), rows: new Float32Array(3 * 64) };
  const grid = searchGrid(each.weights, new Float32Array(64));
  const found = await rounded(each, 32, 8);
  const isNear = (x: number, i: number) => Math.abs(x - each.weights[i]!) <= 1.001 * grid.scales[Math.floor(i / 32)]!;
  t.ok(found.every(isNear));
});

t.test('rows that are not finite have no factor', async (t) => {
  const each = randomCase(1, 64, 10);
  each.rows[65] = NaN;
  t.equal(await factored(each, 32), null);
});
