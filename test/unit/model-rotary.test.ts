import { readFileSync } from 'node:fs';
import t from 'tap';
import { parseDecoderConfig } from '../../worker/model/config/config.ts';
import { Graph } from '../../worker/engine/graph/graph.ts';
import { float32 } from '../../worker/engine/graph/tensor.ts';
import { positionsOf } from '../../worker/model/decoder/positions.ts';
import { inverseFrequencies } from '../../worker/model/decoder/rotary.ts';
import { numbers } from '../support/fixture-tensors.ts';
import { testCompute } from '../support/test-compute.ts';

interface Case {
  config: unknown;
  positions: number[];
  inverseFrequencies: number[];
  cos: number[];
  sin: number[];
}

// Written by test/oracle/rotary.py in float32: frequencies and angles have rounding errors of about 6e-8.
const cases: Record<string, Case> = JSON.parse(
  readFileSync(new URL('../fixtures/rotary.json', import.meta.url), 'utf8'),
);
const tolerance = (position: number) => 2e-7 * position + 1e-7;

const compute = testCompute();
t.teardown(() => compute.close());

for (const [name, expected] of Object.entries(cases)) {
  t.test(`${name}: frequencies and tables are transformers'`, async (t) => {
    const config = parseDecoderConfig(expected.config, name);
    const frequencies = inverseFrequencies(config);
    t.equal(frequencies.length, config.headDim / 2);
    const worst = Math.max(...frequencies.map((f, i) => Math.abs(f / expected.inverseFrequencies[i]! - 1)));
    t.ok(worst < 5e-7, `relative error of the frequencies ${worst}`);

    const graph = new Graph();
    const input = graph.input('positions', 'float32', [1, expected.positions.length]);
    const tables = positionsOf(graph, config, input, input);
    graph.output('cos', tables.cos);
    graph.output('sin', tables.sin);
    const session = await compute.load(graph);
    const positions = float32(Float32Array.from(expected.positions), [1, expected.positions.length]);
    const { outputs } = await session.run({ feeds: { positions }, fetch: ['cos', 'sin'] });
    const [cos, sin] = [numbers(outputs['cos']!), numbers(outputs['sin']!)];
    t.equal(cos.length, expected.cos.length);
    expected.positions.forEach((position, row) => {
      for (const [ours, theirs] of [
        [cos, expected.cos],
        [sin, expected.sin],
      ] as const) {
        const from = row * frequencies.length;
        const error = Math.max(...frequencies.map((_, i) => Math.abs(ours[from + i]! - theirs[from + i]!)));
        t.ok(error < tolerance(position), `position ${position}: error ${error}`);
      }
    });
  });
}
