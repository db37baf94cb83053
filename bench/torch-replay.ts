import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Type from 'typebox';
import type { Static } from 'typebox';
import Value from 'typebox/value';
import type { FedBiOTJobSpec, OptimizerSpec } from '../crds/types.ts';
import type { Provider } from '../worker/engine/compute-protocol.ts';
import type { RunPlan } from '../crds/facts/plan.ts';
import type { SequenceSize } from '../worker/estimate/flops.ts';
import { succeeded } from './fedbiot.ts';

const PROGRAM = fileURLToPath(new URL('torch_round.py', import.meta.url));

const Phase = Type.Union([Type.Literal('align'), Type.Literal('client')]);

/**
 * A line of a trace's batches.jsonl. Rounds count from 0; padding is 0 in the attention mask, a token without a label
 * −100.
 */
const TraceBatch = Type.Object({
  phase: Phase,
  round: Type.Integer(),
  /** −1 for alignment. */
  client: Type.Integer(),
  step: Type.Integer(),
  labels: Type.Array(Type.Array(Type.Integer())),
  attention_mask: Type.Array(Type.Array(Type.Integer())),
});
export type TraceBatch = Static<typeof TraceBatch>;

/** The fields of torch_round.py's result.json that bench reads. */
const TorchResult = Type.Object({
  versions: Type.Record(Type.String(), Type.String()),
  peak_rss_mb: Type.Number(),
  phases: Type.Array(
    Type.Object({
      phase: Phase,
      round: Type.Integer(),
      client: Type.Integer(),
      steps: Type.Array(Type.Object({ loss: Type.Number(), s: Type.Number() })),
    }),
  ),
});
export type TorchResult = Static<typeof TorchResult>;

export type TorchPrecision = 'float32' | 'bfloat16';

export interface Replay {
  readonly python: string;
  readonly threads: number;
  readonly provider: Provider;
  readonly model: string;
  /** The spec of the traced job, with all defaults. */
  readonly spec: FedBiOTJobSpec;
  readonly plan: RunPlan;
  /** Folder with batches.jsonl and init_lora.safetensors. */
  readonly trace: string;
  readonly out: string;
  /** The type of the frozen weights and of activations. LoRA and its optimizer are in float32. */
  readonly precision: TorchPrecision;
  /** Receives the process when it has started. */
  readonly onStart?: (child: ChildProcess) => void;
  /** Only these batches; all if absent. */
  readonly only?: (batch: TraceBatch) => boolean;
}

export function readTrace(trace: string): TraceBatch[] {
  return linesOf(trace).map(parseBatch);
}

/** Numbers of tokens and of labelled tokens of a batch's sequences. */
export function sequencesOf({ labels, attention_mask: mask }: TraceBatch): SequenceSize[] {
  return labels.map((row, i) => ({
    tokens: mask[i]!.reduce((a, b) => a + b, 0),
    labelled: row.slice(1).filter((label) => label >= 0).length,
  }));
}

/** Runs the steps of a trace in PyTorch, in a new process with the same number of threads. */
export async function replayInTorch({
  python,
  threads,
  provider,
  model,
  spec,
  plan,
  trace,
  out,
  precision,
  onStart,
  only,
}: Replay): Promise<TorchResult> {
  mkdirSync(out, { recursive: true });
  const batches = join(out, 'replayed.jsonl');
  writeFileSync(
    batches,
    linesOf(trace)
      .filter((line) => only?.(parseBatch(line)) ?? true)
      .map((line) => `${line}\n`)
      .join(''),
  );
  const inputs = {
    model,
    out,
    batches,
    'init-lora': join(trace, 'init_lora.safetensors'),
    threads,
    device: provider,
    dtype: precision,
  };
  // Our roles rehearse as well, once they are loaded.
  const options = [
    '--rehearse',
    ...Object.entries({ ...inputs, ...optionsOf(spec, plan) }).flatMap(([name, value]) => [`--${name}`, String(value)]),
  ];
  const child = spawn(python, [PROGRAM, ...options], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, OMP_NUM_THREADS: String(threads), OMP_WAIT_POLICY: 'PASSIVE' },
  });
  onStart?.(child);
  await succeeded(child, 'bench/torch_round.py');
  return Value.Parse(TorchResult, JSON.parse(readFileSync(join(out, 'result.json'), 'utf8')));
}

/**
 * The job's settings as options of torch_round.py, which has one optimizer with two learning rates.
 */
function optionsOf(
  { emulator, adapter, federation }: FedBiOTJobSpec,
  { layers }: RunPlan,
): Record<string, string | number> {
  const { alignment } = emulator;
  const { optimizer, proximalWeight } = federation.local;
  const shared = ({ learningRate: _, ...rest }: OptimizerSpec) => JSON.stringify(rest);
  if (
    shared(optimizer) !== shared(alignment.optimizer) ||
    optimizer.schedule !== 'Constant' ||
    optimizer.warmupSteps > 0
  ) {
    throw new Error('torch_round.py has one optimizer for both phases, at constant learning rates');
  }
  return {
    s: layers.adapter.length,
    keep: layers.emulator.join(','),
    similarity: { L2: 'l2', L2PerToken: 'l2-per-token', Cosine: 'cosine', Layerwise: 'layerwise' }[
      alignment.similarity
    ],
    'kd-weight': alignment.klWeight,
    'prox-weight': proximalWeight,
    optimizer: optimizer.kind.toLowerCase(),
    lr: optimizer.learningRate,
    'align-lr': alignment.optimizer.learningRate,
    betas: optimizer.betas.join(','),
    eps: optimizer.epsilon,
    'weight-decay': optimizer.weightDecay,
    'clip-norm': optimizer.clipNorm,
    'lora-r': adapter.lora.rank,
    'lora-alpha': adapter.lora.alpha,
    targets: adapter.lora.targets.join(','),
  };
}

function linesOf(trace: string): string[] {
  return readFileSync(join(trace, 'batches.jsonl'), 'utf8').split('\n').filter(Boolean);
}

function parseBatch(line: string): TraceBatch {
  return Value.Parse(TraceBatch, JSON.parse(line));
}
