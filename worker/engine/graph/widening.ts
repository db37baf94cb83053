import { Graph } from './graph.ts';
import type { Node, Value } from './graph.ts';

/**
 * The graph's operators, with a separate Cast for each product that reads a weight in half precision or in 8 bits, and
 * a separate DequantizeLinear for one in 4 bits: the float32 copy then lives for one operator, where one Cast for
 * forward and backward pass would hold it for the whole step.
 *
 * They come first. ONNX Runtime orders operators depth first from the outputs, and among those that are ready takes the
 * first in the list: a Cast that is listed late is computed with all the others before the first product.
 */
export function widenedPerUse(graph: Graph): readonly Node[] {
  const casts = new Map(graph.nodes.filter((node) => isWidening(graph, node)).map((node) => [node.outputs[0]!, node]));
  const own: Node[] = [];
  const others = graph.nodes.map((node) => {
    if (!node.inputs.some((input) => input !== undefined && casts.has(input))) return node;
    const inputs = node.inputs.map((input) => {
      const cast = input === undefined ? undefined : casts.get(input);
      if (cast === undefined || input === undefined) return input;
      const copy = graph.value(cast.operator, input.dtype, input.shape);
      own.push({ ...cast, outputs: [copy] });
      return copy;
    });
    return { ...node, inputs };
  });
  const held = new Set([
    ...graph.outputs.map(({ value }) => value),
    ...graph.nodes.flatMap(({ attributes }) => Object.values(attributes)).flatMap(outerValues),
  ]);
  return [...own, ...others.filter((node) => !casts.has(node.outputs[0]!) || held.has(node.outputs[0]!))];
}

const isWidening = (graph: Graph, { operator, inputs }: Node): boolean =>
  (operator === 'Cast' || operator === 'DequantizeLinear') && inputs[0] !== undefined && graph.weights.has(inputs[0]);

/** The values of surrounding graphs that a body reads. */
function outerValues(attribute: Node['attributes'][string]): Value[] {
  if (!(attribute instanceof Graph)) return [];
  return attribute.nodes
    .flatMap(({ inputs, attributes }) => [
      ...inputs.filter((input) => input !== undefined && input.graph !== attribute),
      ...Object.values(attributes).flatMap(outerValues),
    ])
    .filter((value) => value !== undefined);
}
