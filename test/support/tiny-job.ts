import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RunReport } from '../../crds/facts/report.ts';
import { randomStream } from '../../worker/random.ts';
import { runJobInProcess } from '../../worker/run/embedded-run.ts';
import type { RunResult } from '../../worker/run/run-rounds.ts';
import type { LiveEvent } from '../../worker/report/display-state.ts';
import { writeTinyModel } from './tiny-model.ts';

const SECTIONS = {
  model: '{ uri: model }',
  data: '{ train: { uri: train.jsonl }, public: { uri: public.jsonl }, eval: { uri: eval.jsonl } }',
  emulator: '{ alignment: { initialSteps: 2, stepsPerRound: 1, sequenceLength: 192 } }',
  adapter: '{ layers: 2, lora: { rank: 4 } }',
  federation: '{ rounds: 2, clients: 2, local: { steps: 2, sequenceLength: 192, optimizer: { learningRate: 0.01 } } }',
};

/**
 * Writes model/, train.jsonl, public.jsonl, eval.jsonl and job.yaml into a folder. `sections` are sections of the spec
 * as YAML, which replace those of the job.
 */
export function writeTinyJob(
  directory: string,
  sections: Readonly<Record<string, string>> = {},
  widths: Parameters<typeof writeTinyModel>[1] = {},
): string {
  writeTinyModel(join(directory, 'model'), widths);
  for (const [name, count] of [
    ['train', 20],
    ['public', 8],
    ['eval', 6],
  ] as const)
    writeSums(join(directory, `${name}.jsonl`), count);
  const path = join(directory, 'job.yaml');
  const spec = Object.entries({ ...SECTIONS, ...sections }).map(([name, value]) => `  ${name}: ${value}\n`);
  writeFileSync(
    path,
    `apiVersion: fedbiot.io/v1alpha1\nkind: FedBiOTJob\nmetadata: { name: tiny }\nspec:\n${spec.join('')}`,
  );
  return path;
}

/** Questions whose answer is a sum. */
export function writeSums(path: string, count: number): void {
  const random = randomStream(5, path.split('/').at(-1)!);
  const records = Array.from({ length: count }, () => {
    const [a, b] = [random.below(50), random.below(50)];
    return { question: `How much is ${a} plus ${b}?`, answers: [String(a + b)] };
  });
  writeFileSync(path, records.map((record) => `${JSON.stringify(record)}\n`).join(''));
}

interface TinyRun {
  readonly force?: boolean;
  readonly signal?: AbortSignal;
  readonly resume?: boolean;
  readonly workers?: number;
  readonly onEvent?: (event: LiveEvent) => void;
}

export function runTinyJob(job: string, out: string, options: TinyRun = {}): Promise<RunResult> {
  const { force = false, signal = new AbortController().signal, resume = false, workers = 1 } = options;
  return runJobInProcess({
    job,
    out,
    resume,
    workers,
    threads: 1,
    provider: 'cpu',
    force,
    verify: false,
    cache: null,
    trace: null,
    signal,
    onEvent: options.onEvent ?? (() => {}),
  });
}

/**
 * Runs a job, or stops it at a step of its clients.
 * @returns the report; null if it was stopped
 */
export async function runTinyJobTo(
  job: string,
  out: string,
  { stopAt = Infinity, ...options }: Pick<TinyRun, 'workers' | 'resume'> & { readonly stopAt?: number } = {},
): Promise<RunReport | null> {
  const stop = new AbortController();
  let steps = 0;
  const result = await runTinyJob(job, out, {
    ...options,
    signal: stop.signal,
    onEvent: ({ event }) => {
      if (event === 'localStep' && ++steps === stopAt) stop.abort();
    },
  });
  return result.outcome === 'interrupted' ? null : result.report;
}
