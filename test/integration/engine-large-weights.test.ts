// Half-precision weights that are too large to be widened in memory are widened at each use. Loss and gradient equal
// those of the same values in float32 to the bit, and memory holds only a few widened weights.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { COPIED_WEIGHT_BYTES } from '../../worker/engine/compute.ts';
import { withGradient } from '../../worker/engine/trainer.ts';
import { Graph } from '../../worker/engine/graph/graph.ts';
import { float32 } from '../../worker/engine/graph/tensor.ts';
import { add, cast, square } from '../../worker/engine/ops/elementwise.ts';
import { gemm } from '../../worker/engine/ops/matrix.ts';
import { reduceMean, reshape } from '../../worker/engine/ops/shape.ts';
import { writeWeights } from '../support/random-weights.ts';
import type { WrittenDtype } from '../support/random-weights.ts';
import { peakOfChildren } from '../support/peak-memory.ts';
import { testCompute } from '../support/test-compute.ts';

const WIDTH = 4096;
const MATRICES = 18;
const ROWS = 8;
const MATRIX_BYTES = WIDTH * WIDTH * 4;
const noProc = existsSync('/proc/self/status') ? false : 'SKIPPED: no /proc, which reports memory that no file backs';

const root = t.testdir();

/** The mean square of x·W₁ᵀ·W₂ᵀ·… + b, with its gradient by b, which passes through all matrices but the first. */
async function measure(dtype: WrittenDtype) {
  const file = `${dtype}.safetensors`;
  const shape = [WIDTH, WIDTH];
  const names = Array.from({ length: MATRICES }, (_, i) => `weight${i}`);
  const weights = await writeWeights(join(root, file), new Map(names.map((name) => [name, shape])), dtype);
  const graph = new Graph();
  const x = graph.input('x', 'float32', [ROWS, WIDTH]);
  const bias = graph.input('parameters', 'float32', [ROWS * WIDTH]);
  let h = x;
  for (const [i, name] of names.entries()) {
    const { offset, bytes } = weights.get(name)!;
    const stored = graph.weight(name, dtype === 'F16' ? 'float16' : 'float32', shape, { file, offset, bytes });
    h = gemm(h, cast(stored, 'float32'), { transB: true });
    if (i === 0) h = add(h, reshape(bias, [ROWS, WIDTH]));
  }
  withGradient(graph, reshape(reduceMean(square(h), [0, 1], false), []), bias);

  const compute = testCompute();
  const feeds = {
    x: float32(
      Float32Array.from({ length: ROWS * WIDTH }, (_, i) => Math.sin(i)),
      [ROWS, WIDTH],
    ),
    parameters: float32(new Float32Array(ROWS * WIDTH)),
    accumulated: float32(new Float32Array(ROWS * WIDTH)),
  };
  const { result, peak } = await peakOfChildren(async () => {
    const session = await compute.load(graph, root, 'often');
    const step = () => session.run({ feeds, fetch: ['loss', 'gradient'] });
    await step();
    return step();
  });
  compute.close();
  return { peak, outputs: result.outputs };
}

t.test('large weights in float16, and the same values in float32', { skip: noProc, timeout: 300_000 }, async (t) => {
  t.ok((MATRICES * MATRIX_BYTES) / 2 > COPIED_WEIGHT_BYTES, 'they are too large to be copied');
  const wide = await measure('F32');
  const half = await measure('F16');
  t.same(half.outputs, wide.outputs, 'the same loss and gradient');
  t.ok(Number(half.outputs['loss']?.data[0]) > 0, `a loss of ${half.outputs['loss']?.data[0]}`);
  const copies = (half.peak - wide.peak) / MATRIX_BYTES;
  t.comment(`peaks of ${wide.peak} and ${half.peak} bytes: ${copies.toFixed(1)} widened matrices at once`);
  t.ok(copies < 4, `${copies.toFixed(1)} widened matrices of ${MATRICES} at once`);
});
