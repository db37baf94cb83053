import { existsSync } from 'node:fs';
import t from 'tap';
import { Compute } from '../../worker/engine/compute.ts';
import { Graph } from '../../worker/engine/graph/graph.ts';
import { add } from '../../worker/engine/ops/elementwise.ts';
import { float32 } from '../../worker/engine/graph/tensor.ts';

const graph = new Graph();
graph.output('y', add(graph.input('x', 'float32', [2]), 1));

t.test(
  'without CUDA, the provider is refused in words that say what to install',
  { skip: existsSync('/dev/nvidia0') && 'this machine has a GPU' },
  async (t) => {
    const compute = new Compute({ threads: 1, provider: 'cuda' });
    t.teardown(() => compute.close());
    await t.rejects(compute.load(graph), { name: 'UserError', message: /CUDA cannot be used/ });
  },
);

t.test(
  'with CUDA, a graph runs',
  { skip: !existsSync('/dev/nvidia0') && 'SKIPPED: this machine has no GPU' },
  async (t) => {
    const compute = new Compute({ threads: 1, provider: 'cuda' });
    t.teardown(() => compute.close());
    const session = await compute.load(graph);
    const { outputs } = await session.run({ feeds: { x: float32(Float32Array.of(1, 2)) }, fetch: ['y'] });
    t.same([...outputs['y']!.data], [2, 3]);
  },
);
