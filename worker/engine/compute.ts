import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { extname } from 'node:path';
import type {
  ComputeMessage,
  ComputeReply,
  ComputeRequest,
  ComputeUsage,
  Provider,
  RunRequest,
  RunResult,
  SessionOptions,
} from './compute-protocol.ts';
import { UserError } from '../../crds/facts/user-error.ts';
import { systemFailure } from '../files/system-failure.ts';
import { computeFailure, computeLost, ComputeLostError } from './compute-lost.ts';
import { controlGroup } from './control-group.ts';
import type { Graph } from './graph/graph.ts';
import { encodeModel } from './graph/onnx.ts';
import type { Tensor } from './graph/tensor.ts';

export type { RunRequest, RunResult } from './compute-protocol.ts';

/**
 * Weights of a graph up to this size are copied into memory in the form that products read. Half precision is widened
 * once. For training graphs they are packed: a product with about 100 rows then takes a fifth less time, and the
 * weights need one to two times their size of additional memory. Larger weights stay in their files, whose pages the
 * kernel may drop. With the long batches that suit large models, widening and packing them for each product costs
 * little.
 */
export const COPIED_WEIGHT_BYTES = 512 * 2 ** 20;

/**
 * Bytes that a weight in 4 bits counts in addition if a gradient widens it: it then counts as in half precision, since
 * its float32 copy is as large.
 */
export const WIDENED_INT4_BYTES = 1.5;

export interface ComputeOptions {
  readonly threads: number;
  readonly provider: Provider;
  /** Instead of COPIED_WEIGHT_BYTES, for graphs that stand for larger ones. */
  readonly copiedWeightBytes?: number;
}

/**
 * glibc's allocator for large, short-lived tensors: those up to 32 MiB (the most it allows) are reused from the heap
 * instead of being mapped again, and up to 1 GiB of freed heap is kept from one step to the next. One arena: sessions
 * run on several threads, and the arenas of all but the first are made of pieces of 64 MiB that go back to the kernel
 * as soon as they are empty, so that a pass could wait for pages in every operator. Compared with ONNX Runtime's
 * arenas, one per session: the same time, half the memory. No huge pages: a heap that is kept gains nothing from them,
 * and finding and clearing them made the first pass take up to twice as long. No lists of small freed pieces: a tensor
 * is aligned by cutting such pieces off, and one that waits in a list keeps the blocks around it apart, so that the
 * heap of a training step grew to 1.7 times its tensors; without lists it is 1.2 times. Other C libraries ignore the
 * variables.
 */
const ALLOCATOR = {
  GLIBC_TUNABLES: 'glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0',
  MALLOC_ARENA_MAX: '1',
  MALLOC_MMAP_THRESHOLD_: String(32 * 2 ** 20),
  MALLOC_TRIM_THRESHOLD_: String(2 ** 30),
};

/**
 * CUDA's products of float32 stay in float32, as PyTorch's do by default. ONNX Runtime would use TensorFloat-32, of 10
 * bits, whose losses differ in the third digit; setting the variable to 1 enables it.
 */
const PRECISION = { NVIDIA_TF32_OVERRIDE: '0' };

/** Disables the telemetry of onnxruntime-node. */
const NO_TELEMETRY = { ORT_DISABLE_TELEMETRY: '1' };

/**
 * A child process that runs graphs. A session's run blocks the thread it is on for the whole step, and a worker thread
 * that is terminated during one takes the process with it; a child process keeps the caller's event loop free and dies
 * cleanly. Requests are answered in order.
 */
export class Compute {
  readonly #child: ChildProcess;
  readonly #options: ComputeOptions;
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  #nextId = 0;
  #nextSession = 0;
  #lost: Error | null = null;

  constructor(options: ComputeOptions) {
    this.#options = options;
    const exhausted = controlGroup().watchMemoryKills();
    this.#child = fork(new URL(`./compute-child${extname(import.meta.filename)}`, import.meta.url), [], {
      serialization: 'advanced',
      execArgv: ['--disable-warning=ExperimentalWarning', '--expose-gc'],
      env: { ...PRECISION, ...process.env, ...ALLOCATOR, ...NO_TELEMETRY },
    });
    this.#child.on('message', (reply: ComputeReply) => this.#settle(reply));
    this.#child.on('error', (error) => this.#fail(unstarted(error)));
    this.#child.on('exit', (code, signal) => this.#fail(computeLost(code, signal, exhausted())));
  }

  get provider(): Provider {
    return this.#options.provider;
  }

  /** Whether a graph’s weights stay in their files: by the graph alone, as the last bits of a product depend on it. */
  isLarge(graph: Graph): boolean {
    const { copiedWeightBytes = COPIED_WEIGHT_BYTES } = this.#options;
    const widened = [...graph.weights.keys()].filter(({ dtype }) => dtype === 'uint4');
    const values = widened.reduce((sum, { shape }) => sum + shape.reduce<number>((a, b) => a * Number(b), 1), 0);
    return graph.weightBytes + WIDENED_INT4_BYTES * values > copiedWeightBytes;
  }

  /**
   * Creates a session.
   * @param weightFolder the folder of the files that the graph's stored weights name
   * @param use `often` for a graph that runs at every training step: its weights are packed once, unless they are
   *   large. A graph with weights in 4 bits packs all: no product reads them otherwise without widening them first. The
   *   rule looks at the graph alone, since packing may change the last bits of a product
   */
  async load(graph: Graph, weightFolder: string | null = null, use: 'often' | 'seldom' = 'seldom'): Promise<Session> {
    const session = this.#nextSession++;
    const { threads, provider } = this.#options;
    const inFiles = this.isLarge(graph);
    const dtypes = new Set([...graph.weights.keys()].map(({ dtype }) => dtype));
    const options: SessionOptions = {
      threads,
      provider,
      weightFolder,
      prepack: (use === 'often' && !inFiles) || dtypes.has('uint8'),
      widenPerUse: inFiles && [...dtypes].some((dtype) => dtype !== 'float32'),
    };
    await this.#ask<null>({ kind: 'load', session, model: encodeModel(graph, options), options }).catch(
      (cause: unknown) => {
        throw this.provider === 'cuda' && cause instanceof Error && !(cause instanceof UserError)
          ? withoutCuda(cause)
          : cause;
      },
    );
    return {
      run: (request) => this.#ask<RunResult>({ kind: 'run', session, ...request }),
      release: async () => void (await this.#ask<null>({ kind: 'unload', session })),
    };
  }

  async write(variable: string, tensor: Tensor): Promise<void> {
    await this.#ask<null>({ kind: 'write', variable, tensor });
  }

  /** Sets a variable to zeros. */
  async clear(variable: string, ...shape: readonly number[]): Promise<void> {
    await this.#ask<null>({ kind: 'clear', variable, shape });
  }

  read(variable: string): Promise<Tensor> {
    return this.#ask<Tensor>({ kind: 'read', variable });
  }

  async free(...variables: string[]): Promise<void> {
    await this.#ask<null>({ kind: 'free', variables });
  }

  /** Resources used so far. Waits for the current request. */
  usage(): Promise<ComputeUsage> {
    return this.#ask<ComputeUsage>({ kind: 'usage' });
  }

  /** Ends the process, even during a run. */
  close(): void {
    this.#child.removeAllListeners('exit');
    this.#fail(new ComputeLostError('the compute process was closed'));
    this.#child.kill('SIGKILL');
  }

  #ask<T>(request: ComputeRequest): Promise<T> {
    if (this.#lost) return Promise.reject(this.#lost);
    const id = this.#nextId++;
    const message: ComputeMessage = { ...request, id };
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
      this.#child.send(
        message,
        (error) => error && this.#fail(new ComputeLostError(`the compute process cannot be reached: ${error.message}`)),
      );
    });
  }

  #settle(reply: ComputeReply): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if (reply.ok) waiting?.resolve(reply.value);
    else waiting?.reject(computeFailure(reply.error));
  }

  #fail(error: Error): void {
    this.#lost ??= error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

function unstarted(error: Error): Error {
  const failure = systemFailure(error, 'cannot start a compute process');
  return failure instanceof Error && failure !== error
    ? failure
    : new ComputeLostError(`the compute process failed: ${error.message}`);
}

/** A missing provider fails at the first session, with an error about shared libraries. */
function withoutCuda(cause: Error): UserError {
  return new UserError(`CUDA cannot be used: ${cause.message.split('\n')[0]}`, {
    hint: 'It needs an NVIDIA driver, CUDA 13’s libraries and onnxruntime’s CUDA provider (docs/engine.md); in a pod, the worker-cuda image. Or run with --provider cpu.',
    cause,
  });
}

/** A graph loaded in the compute process. */
export interface Session {
  run(request: RunRequest): Promise<RunResult>;
  release(): Promise<void>;
}
