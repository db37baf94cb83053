import type { Value } from './graph.ts';

/**
 * Reverse-mode differentiation: appends to the graph the gradients of the scalar `loss` with respect to each of
 * `parameters`. Only operators between a parameter and the loss are visited. A parameter that the loss does not depend
 * on is an error, as it is a mistake in the graph.
 */
export function gradients(loss: Value, parameters: readonly Value[]): Value[] {
  const { graph } = loss;
  if (loss.shape.length !== 0) throw new Error(`the loss must be a scalar, not of shape [${loss.shape}]`);
  const tape = [...graph.tape];
  const dependent = new Set<Value>(parameters);
  for (const entry of tape)
    if (entry.inputs.some((input) => dependent.has(input))) entry.outputs.forEach((output) => dependent.add(output));

  const collected = new Map<Value, Value>([[loss, graph.number(1)]]);
  for (const { inputs, outputs, rule } of tape.reverse()) {
    const dys = outputs.map((output) => collected.get(output));
    if (!dys.some(Boolean) || !inputs.some((input) => dependent.has(input))) continue;
    const wanted = inputs.map((input) => dependent.has(input));
    rule(dys, wanted).forEach((contribution, i) => {
      const input = inputs[i]!;
      if (contribution && wanted[i]) collected.set(input, contribution(collected.get(input)));
    });
  }
  return parameters.map((parameter) => {
    const gradient = collected.get(parameter);
    if (!gradient) throw new Error(`the loss does not depend on ${parameter.name}`);
    return gradient;
  });
}
