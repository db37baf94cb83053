import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import Type from 'typebox';
import Value from 'typebox/value';
import { readReportJson } from '../worker/report/report-files.ts';
import { readJob } from '../worker/run/job-manifest.ts';
import { measureRole, measureRun, outOf, traceOf } from './seven-billion-measure.ts';
import { replayInTorch } from './torch-replay.ts';
import type { TorchPrecision } from './torch-replay.ts';

const PLAIN_LORA = fileURLToPath(new URL('torch_lora.py', import.meta.url));

/** What torch_lora.py prints: bytes and seconds. */
const PlainLora = Type.Object({
  peak: Type.Number(),
  steps: Type.Array(Type.Number()),
  versions: Type.Record(Type.String(), Type.String()),
});

export interface Rivalry {
  readonly layers: number;
  readonly length: number;
  /** Our client: bytes of its processes that no file backs, and seconds of its whole phase per step. */
  readonly ours: { readonly anonymous: number; readonly clientStep: number };
  readonly torch: readonly {
    readonly dtype: TorchPrecision;
    /** Seconds of the same client's step, emulator and adapter. */
    readonly clientSteps: readonly number[];
    /** Plain LoRA of the whole model: peak resident bytes, and seconds of each step. */
    readonly plainLora: { readonly peak: number; readonly steps: readonly number[] };
  }[];
  readonly versions: Readonly<Record<string, string>>;
}

/** Measures a job's client beside the same steps in PyTorch, and beside plain LoRA of the whole model there. */
export async function measureRivalry(
  { job, layers, length }: { job: string; layers: number; length: number },
  { python, threads }: { python: string; threads: number },
): Promise<Rivalry> {
  const { spec } = readJob(job);
  const { uri: model } = spec.model;
  const run = await measureRun({ job, threads, limit: null });
  const client = await measureRole('client', { job, threads, limit: null });
  const { plan } = await readReportJson(outOf(job));
  const torch: Rivalry['torch'][number][] = [];
  let versions: Rivalry['versions'] = {};
  for (const dtype of ['bfloat16', 'float32'] as const) {
    const replayed = await replayInTorch({
      ...{ python, threads, provider: 'cpu', model, spec, plan, precision: dtype },
      trace: traceOf(job),
      out: join(traceOf(job), dtype),
      only: ({ phase }) => phase === 'client',
    });
    const { stdout } = await promisify(execFile)(
      python,
      [PLAIN_LORA, '--model', model, '--length', String(length), '--dtype', dtype, '--threads', String(threads)],
      { env: { ...process.env, OMP_NUM_THREADS: String(threads), OMP_WAIT_POLICY: 'PASSIVE' } },
    );
    const { versions: named, ...plainLora } = Value.Parse(PlainLora, JSON.parse(stdout));
    const clientSteps = replayed.phases.flatMap(({ steps }) => steps.map(({ s }) => s));
    torch.push({ dtype, clientSteps, plainLora });
    versions = named;
  }
  const ours = { anonymous: client.memory.anonymous, clientStep: run.clientPhase! };
  return { layers, length, ours, torch, versions };
}
