import t from 'tap';
import { Graph } from '../../worker/engine/graph/graph.ts';

t.test('bytes of weights that several values of a graph share count once', async (t) => {
  const graph = new Graph();
  const weight = (name: string, file: string, offset: number, bytes: number) =>
    graph.weight(name, 'float32', [bytes / 4], { file, offset, bytes });
  weight('table', 'a', 100, 40);
  weight('table[0:5]', 'a', 100, 20);
  weight('table[5:10]', 'a', 120, 20);
  weight('next', 'a', 160, 8);
  weight('elsewhere', 'b', 100, 40);
  t.equal(graph.weightBytes, 40 + 8 + 40);
  t.equal(new Graph().weightBytes, 0);
});
