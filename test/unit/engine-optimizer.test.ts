// The trainer: optimizer steps against PyTorch's (test/oracle/ops.py), accumulation, resuming, failures.
import { ChildProcess } from 'node:child_process';
import { subscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { Compute } from '../../worker/engine/compute.ts';
import { ComputeLostError } from '../../worker/engine/compute-lost.ts';
import { Graph } from '../../worker/engine/graph/graph.ts';
import { mul, square, sub } from '../../worker/engine/ops/elementwise.ts';
import { gemm } from '../../worker/engine/ops/matrix.ts';
import { reduceSum, reshape } from '../../worker/engine/ops/shape.ts';
import type { OptimizerOptions } from '../../worker/engine/optimizer.ts';
import { float32 } from '../../worker/engine/graph/tensor.ts';
import type { Tensor } from '../../worker/engine/graph/tensor.ts';
import { NotFiniteError, PARAMETERS, Trainer, withGradient } from '../../worker/engine/trainer.ts';
import type { TrainerState } from '../../worker/engine/trainer.ts';
import { randomStream } from '../../worker/random.ts';
import { fixtureTensors, numbers, relativeError } from '../support/fixture-tensors.ts';
import { testCompute } from '../support/test-compute.ts';

const seed = Number(process.env['TEST_SEED'] ?? 21);
t.comment(`seed ${seed}`);

/** Σ parameters·g: its gradient is the input g. */
function linearLoss(size: number): Graph {
  const graph = new Graph();
  const parameters = graph.input(PARAMETERS, 'float32', [size]);
  withGradient(graph, reduceSum(mul(parameters, graph.input('g', 'float32', [size])), [0], false), parameters);
  return graph;
}

/** Σ (x·p − y)² over the rows of x [rows, size], y [rows, 1]. */
function leastSquares(size: number): Graph {
  const graph = new Graph();
  const parameters = graph.input(PARAMETERS, 'float32', [size]);
  const x = graph.input('x', 'float32', ['rows', size]);
  const residual = sub(gemm(x, reshape(parameters, [size, 1])), graph.input('y', 'float32', ['rows', 1]));
  withGradient(graph, reduceSum(square(residual), [0, 1], false), parameters);
  return graph;
}

const SIZE = 5;
const r = randomStream(seed, 'least squares');
const normal = (...shape: number[]): Tensor =>
  float32(
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => r.normal()),
    shape,
  );
const batches = Array.from({ length: 6 }, () => ({ x: normal(8, SIZE), y: normal(8, 1) }));
const start = Float32Array.from({ length: SIZE }, () => r.normal());
const adamW: OptimizerOptions = {
  kind: 'AdamW',
  betas: [0.9, 0.95],
  epsilon: 1e-8,
  weightDecay: 0.1,
  momentum: 0,
  clipNorm: 1,
};
const sgd: OptimizerOptions = { ...adamW, kind: 'SGD', momentum: 0.9, clipNorm: 0 };

let scopes = 0;
async function trainerOf(compute: Compute, graph: Graph, size: number, options: OptimizerOptions): Promise<Trainer> {
  return Trainer.create(compute, await compute.load(graph), size, options, `trainer${scopes++}`);
}

t.test('steps', async (t) => {
  const compute = testCompute();
  t.teardown(() => compute.close());

  interface Trajectory {
    readonly name: string;
    readonly kind: 'AdamW' | 'SGD';
    readonly learningRates: readonly number[];
    readonly norms: readonly number[];
    readonly options: Omit<OptimizerOptions, 'kind'>;
    readonly parameters: string;
    readonly gradients: string;
    readonly trajectory: string;
  }
  const fixtures = fileURLToPath(new URL('../fixtures', import.meta.url));
  const { optimizers }: { optimizers: readonly Trajectory[] } = JSON.parse(
    readFileSync(`${fixtures}/ops.json`, 'utf8'),
  );
  const tensor = fixtureTensors(`${fixtures}/ops.safetensors`);
  for (const { name, kind, options, learningRates, norms, parameters, gradients, trajectory } of optimizers) {
    t.test(`${name}: PyTorch's parameters and norms`, async (t) => {
      const [steps, size] = tensor(gradients).shape as [number, number];
      const row = (of: string, step: number) =>
        Float32Array.from(numbers(tensor(of)).slice(step * size, (step + 1) * size));
      const trainer = await trainerOf(compute, linearLoss(size), size, { kind, ...options });
      await trainer.start(Float32Array.from(numbers(tensor(parameters))));
      for (let step = 0; step < steps; step++) {
        const { gradientNorm } = await trainer.step([{ g: float32(row(gradients, step)) }], learningRates[step]!);
        t.ok(relativeError([gradientNorm], [norms[step]!]) < 1e-6, `norm of step ${step}`);
        const error = relativeError([...(await trainer.state()).parameters], [...row(trajectory, step)]);
        t.ok(error < 1e-6, `parameters after step ${step}: relative error ${error}`);
      }
    });
  }

  t.test('two micro-batches are one batch of both', async (t) => {
    const [first, second] = batches as [(typeof batches)[0], (typeof batches)[0]];
    const joined = (name: 'x' | 'y') =>
      float32(Float32Array.from([...numbers(first[name]), ...numbers(second[name])]), [16, first[name].shape[1]!]);
    const trainer = await trainerOf(compute, leastSquares(SIZE), SIZE, sgd);
    const after = async (microBatches: readonly { x: Tensor; y: Tensor }[]) => {
      await trainer.start(start);
      const losses = [await trainer.step(microBatches, 0.005), await trainer.step(microBatches, 0.005)].map(
        ({ loss }) => loss,
      );
      return { losses, parameters: [...(await trainer.state()).parameters] };
    };
    const parts = await after([first, second]);
    const whole = await after([{ x: joined('x'), y: joined('y') }]);
    t.ok(relativeError(parts.parameters, whole.parameters) < 1e-5, 'parameters');
    t.ok(relativeError(parts.losses, whole.losses) < 1e-5, 'losses');
    t.ok(relativeError((await after([first])).parameters, whole.parameters) > 1e-3, 'one of them alone is not');
  });

  for (const options of [adamW, sgd]) {
    t.test(`${options.kind}: a state continues to the same bits, here and in another process`, async (t) => {
      const steps = async (trainer: Trainer, some: typeof batches) => {
        for (const batch of some) await trainer.step([batch], 0.01);
        return trainer.state();
      };
      const trainer = await trainerOf(compute, leastSquares(SIZE), SIZE, options);
      await trainer.start(start);
      const middle = await steps(trainer, batches.slice(0, 3));
      const end = await steps(trainer, batches.slice(3));
      t.equal(end.step, batches.length);
      t.notSame(end.parameters, middle.parameters);

      await trainer.start(middle);
      same(await steps(trainer, batches.slice(3)));
      const other = testCompute();
      t.teardown(() => other.close());
      const resumed = await trainerOf(other, leastSquares(SIZE), SIZE, options);
      await resumed.start(middle);
      same(await steps(resumed, batches.slice(3)));

      await resumed.start({ ...middle, moments: middle.moments.map((moment) => moment.map(() => 0)) });
      t.notSame((await steps(resumed, batches.slice(3))).parameters, end.parameters, 'the moments matter');

      function same(found: TrainerState): void {
        t.equal(found.step, end.step);
        t.same(found.parameters, end.parameters);
        t.same(found.moments, end.moments);
      }
    });
  }

  t.test('the loss falls to the least squares', async (t) => {
    const trainer = await trainerOf(compute, leastSquares(SIZE), SIZE, { ...sgd, weightDecay: 0 });
    await trainer.start(start);
    for (let step = 0; step < 200; step++) await trainer.step(batches.slice(0, 1), 0.005);
    const { gradientNorm } = await trainer.step(batches.slice(0, 1), 0);
    t.ok(gradientNorm < 1e-3, `norm of the gradient ${gradientNorm}`);
  });

  t.test('a loss or gradient that is not finite is an error', async (t) => {
    const trainer = await trainerOf(compute, leastSquares(SIZE), SIZE, adamW);
    await trainer.start(start);
    const { x, y } = batches[0]!;
    const spoiled = float32(
      Float32Array.from(numbers(x), (value, i) => (i === 7 ? NaN : value)),
      x.shape,
    );
    await t.rejects(
      trainer.step(
        [
          { x, y },
          { x: spoiled, y },
        ],
        0.1,
      ),
      new NotFiniteError('the loss is NaN'),
    );

    const linear = await trainerOf(compute, linearLoss(1), 1, sgd);
    await linear.start(Float32Array.of(0));
    const overflowing = linear.step([{ g: float32(Float32Array.of(3e38)) }], 0.1);
    await t.rejects(overflowing, new NotFiniteError("the gradient's norm is Infinity"));
  });
});

t.test('the compute process', async (t) => {
  let child: ChildProcess | undefined;
  subscribe('child_process', (message) => {
    if (typeof message !== 'object' || message === null || !('process' in message)) return;
    if (message.process instanceof ChildProcess) child = message.process;
  });
  const spawn = () => {
    const compute = testCompute();
    t.teardown(() => compute.close());
    return { compute, child: child! };
  };
  const n = 512;
  /** A matrix of averages, which equals its powers. */
  const weight = float32(new Float32Array(n * n).fill(1 / n), [n, n]);

  /** Starts a chain of products in the child; each takes some milliseconds. */
  async function begin(compute: Compute, products: number) {
    const graph = new Graph();
    const w = graph.input('w', 'float32', [n, n]);
    let x = w;
    for (let i = 0; i < products; i++) x = gemm(x, w);
    graph.output('sum', reduceSum(x, [0, 1], false));
    const session = await compute.load(graph);
    await compute.write('w', weight);
    // The child answers in order: once it has answered the first request, the second is running.
    const usage = compute.usage();
    const result = session.run({ feeds: { w: 'w' }, fetch: ['sum'] });
    result.catch(() => undefined);
    await usage;
    return { result };
  }

  t.test('computes while the event loop runs', async (t) => {
    const { compute } = spawn();
    const { result } = await begin(compute, 150);
    let hasEnded = false;
    const ended = result.then(() => (hasEnded = true));
    for (let turn = 0; turn < 10; turn++) await setImmediate();
    t.notOk(hasEnded, 'ten turns of the event loop pass before the result is there');
    await ended;
    t.ok(relativeError(numbers((await result).outputs['sum']!), [n]) < 1e-4);
  });

  t.test('a compute process that is killed during a run is reported', async (t) => {
    const { compute, child } = spawn();
    const { result } = await begin(compute, 5000);
    const rejected = t.rejects(result, {
      name: 'ComputeLostError',
      message: 'the compute process was killed by SIGKILL (out of memory?)',
      shortage: 'process',
    });
    child.kill('SIGKILL');
    await rejected;
    await t.rejects(compute.usage(), ComputeLostError, 'and to every later request');
  });

  t.test('a compute process that is closed during a run has ended', async (t) => {
    const { compute, child } = spawn();
    const { result } = await begin(compute, 5000);
    const rejected = t.rejects(result, new ComputeLostError('the compute process was closed'));
    compute.close();
    await Promise.all([rejected, once(child, 'exit')]);
    t.throws(() => process.kill(child.pid!, 0), { code: 'ESRCH' }, 'no process is left');
    await t.rejects(compute.usage(), ComputeLostError);
  });

  t.test('a compute process is usable after an error in a run', async (t) => {
    const { compute } = spawn();
    const session = await compute.load(linearLoss(2));
    await t.rejects(session.run({ feeds: {}, fetch: ['loss'] }));
    await t.rejects(compute.read('nothing'), { message: /no variable nothing/ });
    const pair = (a: number, b: number) => float32(Float32Array.of(a, b));
    const feeds = { parameters: pair(2, 3), g: pair(5, 7), accumulated: pair(1, 1) };
    const { outputs } = await session.run({ feeds, fetch: ['loss', 'gradient'] });
    t.same(numbers(outputs['loss']!), [31]);
    t.same(numbers(outputs['gradient']!), [6, 8]);
  });
});
