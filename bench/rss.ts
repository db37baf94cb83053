/**
 * Resident memory of a federation after each of many rounds: it must not grow.
 *
 *   npm run bench:rss -- --model DIR --data DIR [--rounds 30] > table.md
 */
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { Command, Option } from 'commander';
import { positiveInteger } from '../worker/commands/arguments.ts';
import { formatBytes } from '../worker/report/format.ts';
import { startRun } from './fedbiot.ts';
import { writeManifest } from './job.ts';
import { describeMachine, machine } from './machine.ts';
import { writePublicPool } from './public-pool.ts';
import { table } from './statistics.ts';

/** Shorter than nearly all records, so that no later round needs more than the first ones because its records are longer. */
const SEQUENCE_LENGTH = 128;
/** Rounds in which sessions are first used and caches filled. */
const WARM_ROUND = 3;
const TOLERANCE = 0.05;

interface Options {
  model: string;
  data: string;
  rounds: number;
}

async function main({ model, data, rounds }: Options): Promise<void> {
  const here = machine();
  const folder = mkdtempSync(join(tmpdir(), 'fedbiot-rss-'));
  try {
    // Few public sequences: their teacher states, which are kept within a bound of their own, are all there before the warm round ends.
    const pool = join(folder, 'public.jsonl');
    await writePublicPool(resolve(data, 'instructions/train.jsonl'), pool, { model, records: 8, sequenceLength: SEQUENCE_LENGTH });
    const job = join(folder, 'job.json');
    writeManifest(job, {
      apiVersion: 'fedbiot.io/v1alpha1',
      kind: 'FedBiOTJob',
      metadata: { name: 'rss' },
      spec: {
        model: { uri: resolve(model) },
        emulator: { alignment: { initialSteps: 10, stepsPerRound: 10, batchSize: 1, sequenceLength: SEQUENCE_LENGTH, klWeight: 1 } },
        data: { train: { uri: resolve(data, 'gsm8k/train.jsonl') }, public: { uri: pool } },
        federation: { rounds, clients: 3, local: { steps: 30, batchSize: 1, sequenceLength: SEQUENCE_LENGTH } },
      },
    });
    const samples = await sample(job, join(folder, 'out'));
    if (samples.length !== rounds) throw new Error(`${samples.length} of ${rounds} rounds were made`);
    report(samples, describeMachine(here));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Resident bytes after a round. */
interface Sample {
  /** Coordinator, data and transport. */
  readonly main: number;
  /** The compute process that aligns and trains every other client, and the one that trains the others. */
  readonly server: number;
  readonly client: number;
}

async function sample(job: string, out: string): Promise<Sample[]> {
  const samples: Sample[] = [];
  const child = startRun({ job, out, threads: 1, workers: 2 }, true);
  const exit = once(child, 'exit');
  let told = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (told += text));
  for await (const line of createInterface({ input: child.stdout! })) {
    if (!line.startsWith('{"event":"round"')) continue;
    const [server, client] = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().split(' ').map(Number);
    const now = { server: residentBytes(server!), client: residentBytes(client!), main: residentBytes(child.pid!) };
    samples.push(now);
    process.stderr.write(`round ${samples.length}: ${Object.entries(now).map(([role, bytes]) => `${role} ${formatBytes(bytes)}`).join(', ')}\n`);
  }
  const [code]: unknown[] = await exit;
  if (code !== 0) throw new Error(`the run ended with code ${String(code)}:\n${told}`);
  return samples;
}

function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024;
}

function report(samples: readonly Sample[], machineText: string): void {
  const warm = samples[WARM_ROUND - 1]!;
  const roles = [
    ['server’s compute process', 'server'],
    ['client’s compute process', 'client'],
    ['main process', 'main'],
  ] as const;
  const after = samples.slice(WARM_ROUND - 1);
  const furthest = (role: keyof Sample) => Math.max(...after.map((one) => Math.abs(one[role] / warm[role] - 1)));
  const rows = roles.map(([name, role]) => {
    const values = after.map((one) => one[role]);
    return [name, formatBytes(warm[role]), formatBytes(values.at(-1)!), formatBytes(Math.min(...values)), formatBytes(Math.max(...values)), `${(100 * furthest(role)).toFixed(1)} %`];
  });
  const header = ['resident memory', `after round ${WARM_ROUND}`, `after round ${samples.length}`, 'least', 'most', `furthest from round ${WARM_ROUND}`];
  process.stdout.write(`${machineText}\n\n${table(header, rows)}`);
  if (furthest('server') > TOLERANCE || furthest('client') > TOLERANCE) throw new Error(`a compute process moved by more than ${100 * TOLERANCE} %`);
}

await main(
  new Command('bench:rss')
    .addOption(new Option('--model <dir>', 'Hugging Face directory').env('FEDBIOT_TEST_MODEL').makeOptionMandatory())
    .addOption(new Option('--data <dir>', 'folder with gsm8k/train.jsonl and instructions/train.jsonl').env('FEDBIOT_TEST_DATA').makeOptionMandatory())
    .option('--rounds <n>', 'rounds', positiveInteger, 30)
    .parse()
    .opts<Options>(),
);
