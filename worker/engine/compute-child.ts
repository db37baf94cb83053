// The compute process: it holds sessions and variables, and runs requests one at a time, in order.
import { readFileSync, writeFileSync } from 'node:fs';
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { errorMessage } from '../../crds/facts/user-error.ts';
import type { ComputeMessage, ComputeReply, RunResult, SessionOptions } from './compute-protocol.ts';
import { GARBAGE_BYTES } from './garbage.ts';
import { processUsage } from './process-usage.ts';
import { float32 } from './graph/tensor.ts';
import type { Tensor } from './graph/tensor.ts';

const sessions = new Map<number, InferenceSession>();
const variables = new Map<string, OrtTensor>();

/** Optimizers that would compute the Casts of weights once, and hold their outputs. */
const UNFOLDED = 'ConstantFolding;CommonSubexpressionElimination';

/** Bytes of tensors that may have been dropped since the garbage collector ran. */
let garbage = 0;

function collectAfter(bytes: number): void {
  garbage += bytes;
  if (garbage < GARBAGE_BYTES) return;
  garbage = 0;
  globalThis.gc?.();
}

function toOrt({ dtype, data, shape }: Tensor): OrtTensor {
  return new OrtTensor(dtype, data, shape);
}

function zeros(shape: readonly number[]): OrtTensor {
  return toOrt(float32(new Float32Array(shape.reduce((a, b) => a * b, 1)), shape));
}

function fromOrt(tensor: OrtTensor): Tensor {
  const { type, data, dims } = tensor;
  if (type === 'float32' && data instanceof Float32Array) return { dtype: type, data, shape: dims };
  if (type === 'int32' && data instanceof Int32Array) return { dtype: type, data, shape: dims };
  if (type === 'int64' && data instanceof BigInt64Array) return { dtype: type, data, shape: dims };
  throw new Error(`a tensor of type ${type} cannot be sent back`);
}

function variable(name: string): OrtTensor {
  const tensor = variables.get(name);
  if (!tensor) throw new Error(`no variable ${name}`);
  return tensor;
}

async function load(
  session: number,
  model: Uint8Array,
  { threads, provider, weightFolder, prepack, widenPerUse }: SessionOptions,
): Promise<void> {
  const extra: Record<string, unknown> = {
    session: {
      // Without packed copies, weights stay in the mapped file, and every product packs them again.
      disable_prepacking: prepack ? '0' : '1',
      // DequantizeLinear of a weight is an operator like others, which is computed once.
      disable_quant_qdq: '1',
      // Operators follow each other faster than a thread wakes up, so a thread that waits stays awake for a moment.
      // Without a limit it would take a core from the next session, or from another process.
      'intra_op.allow_spinning': '1',
      'intra_op.spin_duration_us': '50',
      ...(weightFolder === null ? {} : { model_external_initializers_file_folder_path: weightFolder }),
    },
    ...(widenPerUse ? { optimization: { disable_specified_optimizers: UNFOLDED } } : {}),
  };
  const options: InferenceSession.SessionOptions = {
    executionProviders: provider === 'cuda' ? ['cuda', 'cpu'] : ['cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    // An arena would keep each session's peak for itself; malloc shares one heap among them, at the same speed (see
    // compute.ts).
    enableCpuMemArena: false,
    enableMemPattern: false,
    // At `all`, Casts of float16 weights are folded whatever is disabled.
    graphOptimizationLevel: widenPerUse ? 'extended' : 'all',
    logSeverityLevel: 3,
    extra,
  };
  sessions.set(session, await InferenceSession.create(model, options));
}

async function run({
  session,
  feeds,
  fetch,
  keep = {},
  update = {},
}: Extract<ComputeMessage, { kind: 'run' }>): Promise<RunResult> {
  const loaded = sessions.get(session);
  if (!loaded) throw new Error(`no session ${session}`);
  const inputs = Object.fromEntries(
    Object.entries(feeds).map(([name, feed]) => [name, typeof feed === 'string' ? variable(feed) : toOrt(feed)]),
  );
  const started = performance.now();
  const fetches = Object.fromEntries([
    ...[...fetch, ...Object.keys(keep)].map((name) => [name, null] as const),
    ...Object.entries(update).map(([output, name]) => [output, variable(name)] as const),
  ]);
  const outputs = await loaded.run(inputs, fetches);
  const milliseconds = performance.now() - started;
  for (const [output, name] of Object.entries(keep)) variables.set(name, outputs[output]!);
  collectAfter([...fetch, ...Object.keys(keep)].reduce((sum, name) => sum + outputs[name]!.data.length * 4, 0));
  return { outputs: Object.fromEntries(fetch.map((name) => [name, fromOrt(outputs[name]!)])), milliseconds };
}

async function answer(message: ComputeMessage): Promise<Extract<ComputeReply, { ok: true }>['value']> {
  switch (message.kind) {
    case 'load':
      await load(message.session, message.model, message.options);
      return null;
    case 'unload':
      await sessions.get(message.session)?.release();
      sessions.delete(message.session);
      return null;
    case 'run':
      return run(message);
    case 'write':
      variables.set(message.variable, toOrt(message.tensor));
      return null;
    case 'clear':
      variables.set(message.variable, zeros(message.shape));
      return null;
    case 'read':
      return fromOrt(variable(message.variable));
    case 'free':
      for (const name of message.variables) variables.delete(name);
      return null;
    case 'usage':
      return processUsage();
  }
}

/** Makes the kernel kill this process rather than its parent when memory runs out, so that the parent can report it. */
function offerToTheKernel(): void {
  const file = '/proc/self/oom_score_adj';
  try {
    writeFileSync(file, String(Math.min(1000, Number(readFileSync(file, 'utf8')) + 500)));
  } catch {
    // Not Linux, or not permitted.
  }
}

offerToTheKernel();
let queue = Promise.resolve();
process.on('message', (message: ComputeMessage) => {
  queue = queue.then(async () => {
    let reply: ComputeReply;
    try {
      reply = { id: message.id, ok: true, value: await answer(message) };
    } catch (error) {
      reply = { id: message.id, ok: false, error: errorMessage(error) };
    }
    // A killed parent receives no reply; 'disconnect' then ends this process.
    process.send?.(reply, undefined, undefined, () => undefined);
  });
});

// Ctrl-C reaches the whole process group; the parent decides when the step is finished. Without a parent there is no
// work.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
process.on('disconnect', () => process.exit(0));
