import type { Compute, RunResult, Session } from './compute.ts';
import { gradients } from './graph/gradient.ts';
import type { Graph, Value } from './graph/graph.ts';
import { add } from './ops/elementwise.ts';
import { momentCount, optimizerGraph, optimizerRates } from './optimizer.ts';
import type { OptimizerOptions } from './optimizer.ts';
import { float32, floats } from './graph/tensor.ts';
import type { Tensor } from './graph/tensor.ts';

/** Inputs of a training graph: its parameters and the accumulated gradient. */
export const PARAMETERS = 'parameters';
const ACCUMULATED = 'accumulated';
/** Outputs of a training graph: the loss and the new accumulated gradient. */
const LOSS = 'loss';
const GRADIENT = 'gradient';

/**
 * Turns a graph with a loss into a training graph: appends the gradient with respect to `parameters`, added to the
 * accumulated gradient.
 */
export function withGradient(graph: Graph, loss: Value, parameters: Value): void {
  const accumulated = graph.input(ACCUMULATED, 'float32', parameters.shape);
  const [gradient] = gradients(loss, [parameters]) as [Value];
  graph.output(LOSS, loss);
  graph.output(GRADIENT, add(accumulated, gradient));
}

/** The loss or the gradient's norm is not finite. */
export class NotFiniteError extends Error {
  override readonly name = 'NotFiniteError';
}

/** Everything that a training needs to continue with the same bits. */
export interface TrainerState {
  /** Number of finished optimizer steps. */
  readonly step: number;
  readonly parameters: Float32Array;
  readonly moments: readonly Float32Array[];
}

export interface TrainerStep {
  /** Sum over the step's micro-batches. */
  readonly loss: number;
  /** L2 norm of the whole gradient before clipping. */
  readonly gradientNorm: number;
}

/**
 * Trains one flat vector: a gradient graph for each micro-batch, then the optimizer's graph. Parameters, moments and
 * gradients stay in the compute process; a step moves only its batch and two numbers.
 */
export class Trainer {
  readonly #compute: Compute;
  readonly #gradient: Session;
  readonly #optimizer: Session;
  readonly #options: OptimizerOptions;
  readonly #size: number;
  readonly #scope: string;
  /** Names of the moments in the optimizer's graph. */
  readonly #moments: readonly string[];
  #step = 0;

  private constructor(
    compute: Compute,
    gradient: Session,
    optimizer: Session,
    options: OptimizerOptions,
    size: number,
    scope: string,
  ) {
    this.#compute = compute;
    this.#gradient = gradient;
    this.#optimizer = optimizer;
    this.#options = options;
    this.#size = size;
    this.#scope = scope;
    this.#moments = Array.from({ length: momentCount(options) }, (_, i) => `moment${i}`);
  }

  /**
   * `gradient` is a session of a graph with the names above; `scope` separates the variables of several trainers in one
   * compute process.
   */
  static async create(
    compute: Compute,
    gradient: Session,
    size: number,
    options: OptimizerOptions,
    scope: string,
  ): Promise<Trainer> {
    const optimizer = await compute.load(optimizerGraph(size, options));
    await compute.clear(`${scope}.zero`, size);
    await compute.clear(`${scope}.${GRADIENT}`, size);
    return new Trainer(compute, gradient, optimizer, options, size, scope);
  }

  /** Starts with zero moments, or from a state. */
  async start(from: TrainerState | Float32Array): Promise<void> {
    const { step, parameters, moments } =
      from instanceof Float32Array ? { step: 0, parameters: from, moments: [] } : from;
    await this.#compute.write(this.#name(PARAMETERS), float32(parameters));
    for (const [i, name] of this.#moments.entries()) {
      const moment = moments[i];
      await (moment
        ? this.#compute.write(this.#name(name), float32(moment))
        : this.#compute.clear(this.#name(name), this.#size));
    }
    this.#step = step;
  }

  /**
   * One optimizer step on the sum of the micro-batches' losses. The next step may be requested before this one has
   * finished. Throws NotFiniteError; the state is then lost.
   */
  async step(
    microBatches: readonly Readonly<Record<string, Tensor | string>>[],
    learningRate: number,
  ): Promise<TrainerStep> {
    this.#step++;
    const gradients = microBatches.map((feeds, i) =>
      this.#collect(feeds, { at: PARAMETERS, onto: i === 0 ? 'zero' : GRADIENT }),
    );
    const state = [PARAMETERS, ...this.#moments];
    const optimizer = this.#optimizer.run({
      feeds: {
        ...Object.fromEntries(state.map((name) => [name, this.#name(name)])),
        gradient: this.#name(GRADIENT),
        rates: optimizerRates(this.#options, learningRate, this.#step),
      },
      fetch: ['norm'],
      update: Object.fromEntries(state.map((name) => [`${name}.next`, this.#name(name)])),
    });
    // All requests are sent at once and run in order, so that the compute process does not wait between two graphs.
    const [stepped, ...computed] = await Promise.all([optimizer, ...gradients]);
    const loss = computed.reduce((sum, { outputs }) => sum + Number(outputs[LOSS]!.data[0]), 0);
    if (!Number.isFinite(loss)) throw new NotFiniteError(`the loss is ${loss}`);
    const gradientNorm = Number(stepped.outputs['norm']!.data[0]);
    if (!Number.isFinite(gradientNorm)) throw new NotFiniteError(`the gradient's norm is ${gradientNorm}`);
    return { loss, gradientNorm };
  }

  /** Computes a micro-batch's gradient at zero, which the next step overwrites. */
  async rehearse(microBatch: Readonly<Record<string, Tensor | string>>): Promise<void> {
    await this.#collect(microBatch, { at: 'zero', onto: 'zero' });
  }

  /** Reads the state back, after the last requested step; the training may continue. */
  async state(): Promise<TrainerState> {
    const moments: Float32Array[] = [];
    for (const name of this.#moments) moments.push(await this.#read(name));
    return { step: this.#step, parameters: await this.parameters(), moments };
  }

  /** Reads the parameters back. */
  parameters(): Promise<Float32Array> {
    return this.#read(PARAMETERS);
  }

  /** The loss of a micro-batch; its gradient is added to GRADIENT. */
  #collect(
    feeds: Readonly<Record<string, Tensor | string>>,
    { at, onto }: { at: string; onto: string },
  ): Promise<RunResult> {
    return this.#gradient.run({
      feeds: { ...feeds, [PARAMETERS]: this.#name(at), [ACCUMULATED]: this.#name(onto) },
      fetch: [LOSS],
      update: { [GRADIENT]: this.#name(GRADIENT) },
    });
  }

  async #read(name: string): Promise<Float32Array> {
    // A tensor from the compute process may be a view of its message.
    return floats(await this.#compute.read(this.#name(name))).slice();
  }

  #name(name: string): string {
    return `${this.#scope}.${name}`;
  }
}
