import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Provider } from '../worker/engine/compute-protocol.ts';
import type { StepEvent } from '../crds/facts/events.ts';
import type { RunReport } from '../crds/facts/report.ts';
import { readReportJson } from '../worker/report/report-files.ts';
import { checkStep } from '../worker/report/report-schema.ts';

const PROGRAM = fileURLToPath(new URL('../worker/fedbiot.ts', import.meta.url));

export interface RunSettings {
  readonly job: string;
  readonly out: string;
  /** Null: the program's default. */
  readonly threads: number | null;
  readonly workers?: number;
  readonly provider?: Provider;
  readonly trace?: string;
  readonly resume?: boolean;
  /** Receives the process when it has started. */
  readonly onStart?: (child: ChildProcess) => void;
}

/** Starts `fedbiot run` in a new process. If `json` is true, it prints its events as JSON. */
export function startRun(
  { job, out, threads, workers, provider, trace, resume }: RunSettings,
  json = false,
): ChildProcess {
  const options = [
    ...(threads === null ? [] : ['--threads', String(threads)]),
    ...(workers === undefined ? [] : ['--workers', String(workers)]),
    ...(provider === undefined ? [] : ['--provider', provider]),
    ...(trace === undefined ? [] : ['--trace', trace]),
    ...(resume ? ['--resume'] : []),
    json ? '--json' : '--quiet',
  ];
  return spawn(process.execPath, [PROGRAM, 'run', job, '--out', out, ...options], {
    stdio: ['ignore', json ? 'pipe' : 'ignore', 'pipe'],
  });
}

/** Runs a job to its end and reads its report. */
export async function run(settings: RunSettings): Promise<RunReport> {
  const child = startRun(settings);
  settings.onStart?.(child);
  await succeeded(child, `fedbiot run ${settings.job}`);
  return readReportJson(settings.out);
}

/** Waits for a process to succeed. @throws Error with the end of its stderr, if it fails */
export async function succeeded(child: ChildProcess, what: string): Promise<void> {
  let output = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-4000)));
  const [code, signal]: unknown[] = await once(child, 'close');
  if (code !== 0)
    throw new Error(`${what} ended with ${signal === null ? `code ${String(code)}` : String(signal)}:\n${output}`);
}

/** All steps of a finished run. */
export function stepsOf(out: string): StepEvent[] {
  return readFileSync(join(out, 'metrics.jsonl'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('{"event":"step"'))
    .map((line) => {
      const step = checkStep(JSON.parse(line));
      if ('problem' in step) throw new Error(`${out}: not a step: ${step.problem}`);
      return step;
    });
}
