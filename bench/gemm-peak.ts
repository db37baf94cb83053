import { Compute } from '../worker/engine/compute.ts';
import type { ComputeOptions } from '../worker/engine/compute.ts';
import { Graph } from '../worker/engine/graph/graph.ts';
import { gemm } from '../worker/engine/ops/matrix.ts';
import { float32 } from '../worker/engine/graph/tensor.ts';

/**
 * Measured products, [rows, inner, columns]: an MLP projection and the vocabulary head of SmolLM2, and a square one.
 */
export const PRODUCTS = [
  [210, 576, 1536],
  [256, 576, 49152],
  [1024, 1024, 1024],
] as const;

/** GFLOP/s of matrix products in our engine, the best of several runs: the machine's peak. */
export async function gemmPeak(options: ComputeOptions): Promise<{ product: string; gigaflops: number }[]> {
  const compute = new Compute(options);
  try {
    const peaks: { product: string; gigaflops: number }[] = [];
    for (const product of PRODUCTS) {
      peaks.push({
        product: product.join('×'),
        gigaflops: await measure(compute, product, RUN_FLOPS[options.provider]),
      });
    }
    return peaks;
  } finally {
    compute.close();
  }
}

const RUNS = 12;
/** FLOPs of one run, enough to make the cost of starting it, and on a GPU of transfers, negligible. */
const RUN_FLOPS = { cpu: 1.4e10, cuda: 2e12 };

/** A chain x·Wᵀ·W·Wᵀ·…·W of equally large products, whose values neither grow nor vanish. */
async function measure(
  compute: Compute,
  [rows, inner, columns]: (typeof PRODUCTS)[number],
  work: number,
): Promise<number> {
  const flops = 2 * rows * inner * columns;
  const products = 2 * Math.max(1, Math.round(work / flops / 2));
  const graph = new Graph();
  const weight = graph.input('weight', 'float32', [columns, inner]);
  let x = graph.input('x', 'float32', [rows, inner]);
  for (let i = 0; i < products; i++) x = gemm(x, weight, { transB: i % 2 === 0 });
  graph.output('y', x);
  const session = await compute.load(graph);
  await compute.write(
    'weight',
    float32(new Float32Array(columns * inner).fill(1 / Math.sqrt(inner * columns)), [columns, inner]),
  );
  await compute.write('x', float32(new Float32Array(rows * inner).fill(1), [rows, inner]));
  let best = Infinity;
  for (let run = 0; run < RUNS; run++) {
    const { milliseconds } = await session.run({ feeds: { x: 'x', weight: 'weight' }, fetch: [], keep: { y: 'y' } });
    best = Math.min(best, milliseconds);
  }
  await session.release();
  await compute.free('x', 'weight', 'y');
  return (products * flops) / best / 1e6;
}
