import type { Compute, RunRequest, Session } from '../engine/compute.ts';
import { Graph } from '../engine/graph/graph.ts';
import type { Value } from '../engine/graph/graph.ts';
import { float32, floats, int32 } from '../engine/graph/tensor.ts';
import type { Dim, Tensor } from '../engine/graph/tensor.ts';
import { mul, square } from '../engine/ops/elementwise.ts';
import { gemm } from '../engine/ops/matrix.ts';
import { concat, reduceSum } from '../engine/ops/shape.ts';

/** A matrix, or the variable of the compute process that holds it. */
export type Matrix = Tensor | string;

/** Columns of a matrix. */
export type Range = readonly [from: number, to: number];

/** The output of each graph. */
const RESULT = 'result';

/**
 * The products of GPTQ's large matrices, in a compute process that holds them as variables. A result is a new variable,
 * or replaces the content of one.
 */
export class Products {
  readonly compute: Compute;
  readonly #sessions = new Map<string, Session>();

  constructor(compute: Compute) {
    this.compute = compute;
  }

  /** Σ x² of each column. */
  async squares(matrix: string): Promise<Float32Array> {
    return this.#fetch(await this.#session('squares', squaresGraph), { matrix });
  }

  /** result = matrix[:, order]; the matrix is freed. */
  async reorder(matrix: string, order: Int32Array, result: string): Promise<void> {
    const feeds = { matrix, order: int32(order) };
    await this.#run(await this.#session('reorder', reorderGraph), feeds, { keep: { [RESULT]: result } });
    await this.compute.free(matrix);
  }

  /** The given columns of a matrix. */
  async columns(matrix: string, range: Range): Promise<Float32Array> {
    return this.#fetch(await this.#session('columns', columnsGraph), { matrix, ...bounds(range) });
  }

  /** result += (diag(factors)·rows[:, range])ᵀ·rows[:, :range.to]. */
  async addSquare(result: string, rows: string, factors: Float32Array, range: Range): Promise<void> {
    const column = float32(factors, [factors.length, 1]);
    const feeds = { sum: result, matrix: rows, factors: column, ...bounds(range) };
    await this.#run(await this.#session('addSquare', addSquareGraph), feeds, { update: { [RESULT]: result } });
  }

  /** result = left·right[:, range], followed by the columns of `last`. */
  async extend(left: Matrix, right: string, range: Range, last: Matrix, result: string): Promise<void> {
    const feeds = { left, right, last, ...bounds(range) };
    await this.#run(await this.#session('extend', extendGraph), feeds, { keep: { [RESULT]: result } });
  }

  /** result = left·right[:, range]ᵀ, or the same added to it. */
  async multiply(left: Matrix, right: string, range: Range, result: string, adds: boolean): Promise<void> {
    const feeds = { left, right, ...bounds(range) };
    if (adds) {
      const session = await this.#session('add', addGraph);
      await this.#run(session, { ...feeds, sum: result }, { update: { [RESULT]: result } });
    } else {
      await this.#run(await this.#session('multiply', multiplyGraph), feeds, { keep: { [RESULT]: result } });
    }
  }

  /** result = the columns of all parts, which are freed. */
  async join(parts: readonly string[], result: string): Promise<void> {
    const session = await this.#session(`join ${parts.length}`, () => joinGraph(parts.length));
    await this.#run(session, Object.fromEntries(parts.map((part, i) => [`part${i}`, part])), {
      keep: { [RESULT]: result },
    });
    await this.compute.free(...parts);
  }

  async release(): Promise<void> {
    for (const session of this.#sessions.values()) await session.release();
    this.#sessions.clear();
  }

  async #session(name: string, build: () => Graph): Promise<Session> {
    const loaded = this.#sessions.get(name) ?? (await this.compute.load(build()));
    this.#sessions.set(name, loaded);
    return loaded;
  }

  async #run(session: Session, feeds: RunRequest['feeds'], result: Pick<RunRequest, 'keep' | 'update'>): Promise<void> {
    await session.run({ feeds, fetch: [], ...result });
  }

  async #fetch(session: Session, feeds: RunRequest['feeds']): Promise<Float32Array> {
    const { outputs } = await session.run({ feeds, fetch: [RESULT] });
    return floats(outputs[RESULT]!);
  }
}

const integer = (x: number): Tensor => ({ dtype: 'int64', shape: [1], data: BigInt64Array.of(BigInt(x)) });

const bounds = ([from, to]: Range) => ({ from: integer(from), to: integer(to) });

const matrixInput = (graph: Graph, name: string, rows: Dim, columns: Dim) =>
  graph.input(name, 'float32', [rows, columns]);

/** Some columns of x: [rows, `width`]. */
const slice = (x: Value, from: Value, to: Value, width: Dim): Value =>
  x.graph.apply('Slice', [x, from, to, x.graph.integers(1)], 'float32', [x.shape[0]!, width]);

const boundsInput = (graph: Graph) => [graph.input('from', 'int64', [1]), graph.input('to', 'int64', [1])] as const;

function squaresGraph(): Graph {
  const graph = new Graph();
  graph.output(RESULT, reduceSum(square(matrixInput(graph, 'matrix', 'height', 'width')), [0], false));
  return graph;
}

function reorderGraph(): Graph {
  const graph = new Graph();
  const operands = [matrixInput(graph, 'matrix', 'height', 'width'), graph.input('order', 'int32', ['taken'])];
  graph.output(RESULT, graph.apply('Gather', operands, 'float32', ['height', 'taken'], { axis: 1 }));
  return graph;
}

function columnsGraph(): Graph {
  const graph = new Graph();
  graph.output(RESULT, slice(matrixInput(graph, 'matrix', 'height', 'width'), ...boundsInput(graph), 'taken'));
  return graph;
}

function addSquareGraph(): Graph {
  const graph = new Graph();
  const sum = matrixInput(graph, 'sum', 'height', 'end');
  const matrix = matrixInput(graph, 'matrix', 'depth', 'width');
  const [from, to] = boundsInput(graph);
  const scaled = mul(slice(matrix, from, to, 'height'), graph.input('factors', 'float32', ['depth', 1]));
  graph.output(RESULT, gemm(scaled, slice(matrix, graph.integers(0), to, 'end'), { transA: true, c: sum }));
  return graph;
}

function extendGraph(): Graph {
  const graph = new Graph();
  const left = matrixInput(graph, 'left', 'height', 'depth');
  const right = slice(matrixInput(graph, 'right', 'depth', 'width'), ...boundsInput(graph), 'taken');
  graph.output(RESULT, concat([gemm(left, right), matrixInput(graph, 'last', 'height', 'more')], 1, 'end'));
  return graph;
}

function multiplyGraph(): Graph {
  const graph = new Graph();
  const [left, right] = factorsInput(graph);
  graph.output(RESULT, gemm(left, right, { transB: true }));
  return graph;
}

function addGraph(): Graph {
  const graph = new Graph();
  const [left, right] = factorsInput(graph);
  graph.output(RESULT, gemm(left, right, { transB: true, c: matrixInput(graph, 'sum', 'rows', 'height') }));
  return graph;
}

function factorsInput(graph: Graph): [left: Value, right: Value] {
  const left = matrixInput(graph, 'left', 'rows', 'depth');
  return [left, slice(matrixInput(graph, 'right', 'height', 'width'), ...boundsInput(graph), 'depth')];
}

function joinGraph(parts: number): Graph {
  const graph = new Graph();
  const each = Array.from({ length: parts }, (_, i) => matrixInput(graph, `part${i}`, 'rows', `width${i}`));
  graph.output(RESULT, concat(each, 1, 'width'));
  return graph;
}
