import type { Value } from '../graph/graph.ts';
import type { Dim } from '../graph/tensor.ts';

/**
 * A function of rows, computed one block of rows at a time, so that intermediate results exist for only one block.
 * `rows` are values [m, width]; `body` maps blocks of them [block, width] to results [block, width], and may use values
 * of the enclosing graph. Blocks have equal size, at most `blockRows`; the last is padded with zeros, whose results are
 * dropped. It has no gradient: the caller fuses it with one.
 */
export function inBlocks(
  rows: readonly Value[],
  blockRows: number,
  body: (blocks: readonly Value[]) => readonly Value[],
): Value[] {
  const { graph, shape } = rows[0]!;
  const integer = (operator: string, a: Value, b: Value) => graph.apply(operator, [a, b], 'int64', [1]);
  const dividedUp = (a: Value, b: Value) => integer('Div', integer('Add', a, integer('Sub', b, graph.integers(1))), b);
  const m = graph.apply('Shape', [rows[0]!], 'int64', [1], { start: 0, end: 1 });
  // Without rows there is one block of one padded row.
  const atLeastOne = (x: Value) => integer('Max', x, graph.integers(1));
  const blocks = atLeastOne(dividedUp(m, graph.integers(blockRows)));
  const size = atLeastOne(dividedUp(m, blocks));
  const missing = integer('Sub', integer('Mul', blocks, size), m);
  const stacks = rows.map((value) => stackBlocks(value, blocks, size, missing));

  const loop = graph.body();
  const index = loop.input('index', 'int64', []);
  loop.output('goOn', loop.input('condition', 'bool', []));
  const results = body(
    stacks.map((stack) => loop.apply('Gather', [stack, index], stack.dtype, stack.shape.slice(1), { axis: 0 })),
  );
  results.forEach((result, i) => loop.output(`result${i}`, result));

  const trips = graph.apply('Squeeze', [blocks], 'int64', []);
  const stacked = results.map(({ dtype, shape: [, width] }) => ({ dtype, shape: ['blocks', 'block', width!] }));
  return graph
    .applyMany('Loop', [trips, undefined], stacked, { body: loop })
    .map((stack) => unstackBlocks(stack, m, shape[0]!));
}

/** [m, width] → [blocks, block, width], padded with zeros. */
function stackBlocks(value: Value, blocks: Value, size: Value, missing: Value): Value {
  const { graph, dtype, shape } = value;
  const width = Number(shape[1]);
  const pads = graph.apply('Concat', [graph.integers(0, 0), missing, graph.integers(0)], 'int64', [4], { axis: 0 });
  const padded = graph.apply('Pad', [value, pads], dtype, ['padded', width]);
  const target = graph.apply('Concat', [blocks, size, graph.integers(width)], 'int64', [3], { axis: 0 });
  return graph.apply('Reshape', [padded, target], dtype, ['blocks', 'block', width]);
}

/** The first m rows of [blocks, block, width]. */
function unstackBlocks(stack: Value, m: Value, rows: Dim): Value {
  const { graph, dtype, shape } = stack;
  const width = Number(shape[2]);
  const flat = graph.apply('Reshape', [stack, graph.integers(-1, width)], dtype, ['padded', width]);
  return graph.apply('Slice', [flat, graph.integers(0), m, graph.integers(0)], dtype, [rows, width]);
}
