// Attention of whole sequences without a gradient, untiled and in tiles, beside the attention that is trained.
import t from 'tap';
import { Compute } from '../../worker/engine/compute.ts';
import { Graph } from '../../worker/engine/graph/graph.ts';
import { float32 } from '../../worker/engine/graph/tensor.ts';
import type { Tensor } from '../../worker/engine/graph/tensor.ts';
import { attention, rotary } from '../../worker/engine/ops/attention.ts';
import { reshape, transpose } from '../../worker/engine/ops/shape.ts';
import { UNTILED_TOKENS, wholeAttention, wholeSequences } from '../../worker/engine/ops/whole-attention.ts';
import type { AttentionHeads } from '../../worker/engine/ops/whole-attention.ts';
import { positionsOf } from '../../worker/model/decoder/positions.ts';
import { readDecoderConfig } from '../../worker/model/directory.ts';
import { randomStream } from '../../worker/random.ts';
import { maxError, numbers } from '../support/fixture-tensors.ts';

const TOLERANCE = 2e-6;
const seed = Number(process.env['TEST_SEED'] ?? 7);
t.comment(`seed ${seed}`);
// CUDA runs ordinary operators.
const compute = new Compute({ threads: 1, provider: 'cpu' });
t.teardown(() => compute.close());
const llama = readDecoderConfig('test/fixtures/families/llama2');

interface Case extends AttentionHeads {
  readonly headDim: number;
  readonly batch: number;
  readonly length: number;
}

/** A graph of the given outputs, on the same inputs. */
function attentionGraph({ heads, keyValueHeads, window, headDim }: Case, outputs: readonly string[]): Graph {
  const graph = new Graph();
  const positions = graph.input('positions', 'float32', ['batch', 'length']);
  const input = (name: string, count: number) => graph.input(name, 'float32', ['batch', 'length', count * headDim]);
  const [q, k, v] = [input('q', heads), input('k', keyValueHeads), input('v', keyValueHeads)];
  const config = { ...llama, headDim, slidingWindow: window };
  const { cos, sin, mask } = positionsOf(graph, config, positions, positions);

  const perHead = (x: typeof q, count: number) =>
    transpose(reshape(x, ['batch', 'length', count, headDim]), [0, 2, 1, 3]);
  const build: Record<string, () => typeof q> = {
    trained: () => {
      const turned = [rotary(perHead(q, heads), cos, sin), rotary(perHead(k, keyValueHeads), cos, sin)] as const;
      return reshape(transpose(attention(...turned, perHead(v, keyValueHeads), mask), [0, 2, 1, 3]), q.shape);
    },
    whole: () => {
      const turned = [rotary(q, cos, sin), rotary(k, cos, sin)] as const;
      return wholeAttention(...turned, v, wholeSequences(positions, mask), { heads, keyValueHeads, window });
    },
  };
  for (const output of outputs) graph.output(output, build[output]!());
  return graph;
}

function inputsOf({ heads, keyValueHeads, headDim, batch, length }: Case): Record<string, Tensor> {
  const random = randomStream(seed, 'whole-attention');
  const normal = (count: number) => {
    const data = Float32Array.from({ length: batch * length * count * headDim }, () => random.normal());
    return float32(data, [batch, length, count * headDim]);
  };
  const positions = Float32Array.from({ length: batch * length }, (_, i) => i % length);
  return {
    positions: float32(positions, [batch, length]),
    q: normal(heads),
    k: normal(keyValueHeads),
    v: normal(keyValueHeads),
  };
}

const grouped = { heads: 6, keyValueHeads: 2, headDim: 16, window: null };
const cases: Record<string, Case> = {
  'one token': { ...grouped, batch: 1, length: 1 },
  'a short batch': { ...grouped, batch: 3, length: 37 },
  'a head for each query head': { ...grouped, keyValueHeads: 6, batch: 2, length: 65 },
  'the longest untiled sequence': { ...grouped, batch: 1, length: UNTILED_TOKENS },
  'the shortest tiled one': { ...grouped, batch: 1, length: UNTILED_TOKENS + 1 },
  'a tiled batch': { ...grouped, batch: 2, length: 1100 },
  'a window': { ...grouped, window: 20, batch: 2, length: 50 },
  'a window, tiled': { ...grouped, window: 200, batch: 2, length: 700 },
  'a window as long as the sequence, tiled': { ...grouped, window: 700, batch: 1, length: 700 },
  'a width that cannot be tiled': { ...grouped, headDim: 12, batch: 1, length: UNTILED_TOKENS + 1 },
};

for (const [name, one] of Object.entries(cases)) {
  t.test(name, async (t) => {
    const session = await compute.load(attentionGraph(one, ['trained', 'whole']));
    const { outputs } = await session.run({ feeds: inputsOf(one), fetch: ['trained', 'whole'] });
    await session.release();
    const error = maxError(numbers(outputs['whole']!), numbers(outputs['trained']!));
    t.ok(error <= TOLERANCE, `largest difference ${error}`);
  });
}

t.test('long sequences have no matrix of scores', async (t) => {
  const long = { heads: 16, keyValueHeads: 4, headDim: 8, window: null, batch: 1, length: 3000 };
  const scores = long.heads * long.length ** 2 * 4;
  const session = await compute.load(attentionGraph(long, ['whole']));
  const feeds = inputsOf(long);
  const before = await compute.usage();
  await session.run({ feeds, fetch: ['whole'] });
  const more = (await compute.usage()).peakMemoryBytes - before.peakMemoryBytes;
  t.ok(more < scores / 2, `${more} bytes more, where scores would have ${scores}`);
  await session.release();
});
