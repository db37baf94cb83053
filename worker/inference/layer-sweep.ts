import type { Compute } from '../engine/compute.ts';
import type { Graph } from '../engine/graph/graph.ts';
import type { Tensor } from '../engine/graph/tensor.ts';
import { NEXT } from '../model/programs/layer.ts';

/**
 * Hidden states that a sweep holds between layers and returns, in bytes. A sweep reads the weights once for the tokens
 * that fit: 32,768 of a model of width 4,096. Reading then takes a few percent of the time of the products, for a model
 * of any size, and more tokens would only delay the first result.
 */
export const SWEPT_STATES = 2 ** 29;

/** The vectors of LoRA that the layers' graphs read, as tensors or as variables of the compute process. */
export type Vectors = Readonly<Record<string, Tensor | string>>;

/** The states before the first layer, [rows, hidden], and the inputs that all layers share. */
export interface Pass {
  readonly hidden: Tensor;
  readonly feeds: Readonly<Record<string, Tensor>>;
}

/** A layer of a sweep. */
export interface SweptLayer {
  /** Its graph, with the input `hidden` and the output NEXT. */
  readonly program: () => Graph;
  /** Outputs to return. */
  readonly fetch: readonly string[];
}

export interface SweepOptions {
  /** Aborts between two passes. */
  readonly signal?: AbortSignal | undefined;
  /** Called after each pass through a layer. */
  readonly onLayer?: ((progress: LayerProgress) => void) | undefined;
}

export interface LayerProgress {
  /** The layer's share of all layers. */
  readonly share: number;
  /** The share of the sweep that is done, from 0 to 1. */
  readonly done: number;
}

/**
 * Whether a graph without a gradient runs a layer at a time. A GPU keeps the weights of a whole graph in its memory,
 * where no pass reads them from a file.
 */
export const isSwept = (compute: Compute, whole: Graph): boolean =>
  compute.provider === 'cpu' && compute.isLarge(whole);

/** A pass between two layers: its states, or the variable that holds them, and what the layers so far returned. */
interface SweptPass {
  readonly feeds: Pass['feeds'];
  hidden: Tensor | string;
  readonly returned: Tensor[];
}

/** Tells the variables of sweeps apart. */
let sweeps = 0;

/**
 * Runs passes through the layers of a large model one layer at a time: all passes through the first, then all through
 * the next. Memory holds one layer's weights, and they are read, and widened, once for many passes. The states between
 * layers stay in the compute process.
 */
export class LayerSweep {
  readonly #compute: Compute;
  readonly #weightFolder: string;
  readonly #layers: readonly SweptLayer[];
  /** Rows of one sweep. Passes that have more together are swept in groups. */
  readonly rows: number;

  /** @param width of the hidden states */
  constructor(compute: Compute, weightFolder: string, layers: readonly SweptLayer[], width: number) {
    this.#compute = compute;
    this.#weightFolder = weightFolder;
    this.#layers = layers;
    const returned = layers.filter(({ fetch }) => fetch.includes(NEXT)).length;
    this.rows = Math.floor(SWEPT_STATES / (Float32Array.BYTES_PER_ELEMENT * width * Math.max(1, returned)));
  }

  /** For each pass, in order, the outputs that its layers return. The groups depend on the passes alone. */
  async *through(
    passes: Iterable<Pass> | AsyncIterable<Pass>,
    vectors: Vectors,
    options: SweepOptions = {},
  ): AsyncGenerator<Tensor[], void> {
    let group: SweptPass[] = [];
    let rows = 0;
    for await (const { hidden, feeds } of passes) {
      const more = hidden.shape[0]!;
      if (group.length > 0 && rows + more > this.rows) {
        yield* inOrder(await this.#sweep(group, vectors, options));
        group = [];
        rows = 0;
      }
      group.push({ feeds, hidden, returned: [] });
      rows += more;
    }
    if (group.length > 0) yield* inOrder(await this.#sweep(group, vectors, options));
  }

  async #sweep(passes: readonly SweptPass[], vectors: Vectors, { signal, onLayer }: SweepOptions): Promise<Tensor[][]> {
    const prefix = `sweep.${sweeps++}`;
    const held = new Set<string>();
    const hold = (name: string) => {
      held.add(name);
      return name;
    };
    try {
      const named = await this.#named(vectors, (name) => hold(`${prefix}.${name}`));
      for (const [depth, { program, fetch }] of this.#layers.entries()) {
        const graph = program();
        const read = Object.entries(named).filter(([name]) => graph.inputs.some((input) => input.name === name));
        const isLast = depth === this.#layers.length - 1;
        const session = await this.#compute.load(graph, this.#weightFolder);
        try {
          for (const [i, pass] of passes.entries()) {
            signal?.throwIfAborted();
            const next = `${prefix}.${i}`;
            const { outputs } = await session.run({
              feeds: { ...pass.feeds, ...Object.fromEntries(read), hidden: pass.hidden },
              fetch,
              keep: isLast ? {} : { [NEXT]: hold(next) },
            });
            pass.hidden = next;
            pass.returned.push(...fetch.map((name) => outputs[name]!));
            if (isLast && held.delete(next)) await this.#compute.free(next);
            const share = 1 / this.#layers.length;
            onLayer?.({ share, done: (depth + (i + 1) / passes.length) * share });
          }
        } finally {
          await session.release();
        }
      }
      return passes.map(({ returned }) => returned);
    } finally {
      await this.#compute.free(...held);
    }
  }

  /** The vectors as variables, so that they are sent once. */
  async #named(vectors: Vectors, nameOf: (name: string) => string): Promise<Readonly<Record<string, string>>> {
    const named: Record<string, string> = {};
    for (const [name, vector] of Object.entries(vectors)) {
      if (typeof vector !== 'string') await this.#compute.write(nameOf(name), vector);
      named[name] = typeof vector === 'string' ? vector : nameOf(name);
    }
    return named;
  }
}

/** Yields results, and holds none that was yielded. */
function* inOrder<T>(results: T[]): Generator<T, void> {
  for (let next = results.shift(); next !== undefined; next = results.shift()) yield next;
}
