import type { Compute } from '../../worker/engine/compute.ts';
import { Graph } from '../../worker/engine/graph/graph.ts';
import type { Value } from '../../worker/engine/graph/graph.ts';
import { gradients } from '../../worker/engine/graph/gradient.ts';
import { reduceSum } from '../../worker/engine/ops/shape.ts';
import { mul } from '../../worker/engine/ops/elementwise.ts';
import type { Tensor } from '../../worker/engine/graph/tensor.ts';

export type Build = (inputs: Value[]) => Value;

/** Runs y = f(inputs), and the gradients of Σ y·upstream with respect to the float32 inputs in `wanted`. */
export async function evaluateWithGradients(
  compute: Compute,
  build: Build,
  inputs: readonly Tensor[],
  upstream: Tensor,
  wanted: readonly number[],
): Promise<{ output: Tensor; gradients: Tensor[] }> {
  const graph = new Graph();
  const values = inputs.map((tensor, i) => graph.input(`x${i}`, tensor.dtype, tensor.shape));
  const dy = graph.input('upstream', 'float32', upstream.shape);
  const y = build(values);
  const product = mul(y, dy);
  const loss = reduceSum(
    product,
    product.shape.map((_, axis) => axis),
    false,
  );
  const grads = gradients(
    loss,
    wanted.map((i) => values[i]!),
  );
  graph.output('y', y);
  grads.forEach((gradient, i) => graph.output(`d${i}`, gradient));
  const session = await compute.load(graph);
  const feeds = Object.fromEntries([['upstream', upstream], ...inputs.map((tensor, i) => [`x${i}`, tensor] as const)]);
  const { outputs } = await session.run({ feeds, fetch: ['y', ...grads.map((_, i) => `d${i}`)] });
  await session.release();
  return { output: outputs['y']!, gradients: grads.map((_, i) => outputs[`d${i}`]!) };
}

/** Only runs y = f(inputs). The session is reused for many calls. */
export async function compileForward(compute: Compute, build: Build, inputs: readonly Tensor[]) {
  const graph = new Graph();
  graph.output('y', build(inputs.map((tensor, i) => graph.input(`x${i}`, tensor.dtype, tensor.shape))));
  const session = await compute.load(graph);
  return {
    run: async (tensors: readonly Tensor[]) =>
      (await session.run({ feeds: Object.fromEntries(tensors.map((tensor, i) => [`x${i}`, tensor])), fetch: ['y'] }))
        .outputs['y']!,
    release: session.release,
  };
}
