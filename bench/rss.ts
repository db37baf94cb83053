/**
 * Measures the resident memory of a federation after each of many rounds. It must not grow.
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
import { sum, table } from './statistics.ts';

/**
 * Shorter than nearly all records, so that later rounds do not need more memory because of longer records.
 */
const SEQUENCE_LENGTH = 128;
/** The round by whose end sessions have been used and caches are full. */
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
    // There are few public sequences, so that all their teacher states are cached before the warm round ends.
    const pool = join(folder, 'public.jsonl');
    await writePublicPool(resolve(data, 'instructions/train.jsonl'), pool, {
      model,
      records: 8,
      sequenceLength: SEQUENCE_LENGTH,
    });
    const job = join(folder, 'job.json');
    writeManifest(job, {
      apiVersion: 'fedbiot.io/v1alpha1',
      kind: 'FedBiOTJob',
      metadata: { name: 'rss' },
      spec: {
        model: { uri: resolve(model) },
        emulator: {
          alignment: {
            initialSteps: 10,
            stepsPerRound: 10,
            batchSize: 1,
            sequenceLength: SEQUENCE_LENGTH,
            klWeight: 1,
          },
        },
        data: { train: { uri: resolve(data, 'gsm8k/train.jsonl') }, public: { uri: pool } },
        federation: { rounds, clients: 3, local: { steps: 30, batchSize: 1, sequenceLength: SEQUENCE_LENGTH } },
      },
    });
    const samples = await sample(job, join(folder, 'out'));
    if (samples.length !== rounds) throw new Error(`only ${samples.length} of ${rounds} rounds finished`);
    report(samples, describeMachine(here));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Memory of a process after a round, in bytes. */
interface Memory {
  readonly resident: number;
  /**
   * Without pages of files, which belong to the system's cache. Pages of a mapped model are loaded on first access.
   */
  readonly own: number;
}

interface Sample {
  /** The compute process that aligns and also trains clients, and the one that only trains clients. */
  readonly server: Memory;
  readonly client: Memory;
  /** The process with coordinator, data and transport. */
  readonly main: Memory;
}

async function sample(job: string, out: string): Promise<Sample[]> {
  const samples: Sample[] = [];
  const child = startRun({ job, out, threads: 1, workers: 2 }, true);
  const exit = once(child, 'exit');
  let errors = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (errors += text));
  for await (const line of createInterface({ input: child.stdout! })) {
    if (!line.startsWith('{"event":"round"')) continue;
    const [server, client] = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')
      .trim()
      .split(' ')
      .map(Number);
    const now = { server: memoryOf(server!), client: memoryOf(client!), main: memoryOf(child.pid!) };
    samples.push(now);
    process.stderr.write(
      `round ${samples.length}: ${Object.entries(now)
        .map(([role, { resident }]) => `${role} ${formatBytes(resident)}`)
        .join(', ')}\n`,
    );
  }
  const [code]: unknown[] = await exit;
  if (code !== 0) throw new Error(`the run ended with code ${String(code)}:\n${errors}`);
  return samples;
}

function memoryOf(pid: number): Memory {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const bytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)![1]) * 1024;
  return { resident: bytes('VmRSS'), own: bytes('RssAnon') };
}

const ROLES = [
  { name: 'server’s compute process', isFlat: true, processes: ({ server }: Sample) => [server] },
  { name: 'client’s compute process', isFlat: true, processes: ({ client }: Sample) => [client] },
  // Its memory varies with the garbage collector.
  { name: 'main process', isFlat: false, processes: ({ main }: Sample) => [main] },
  { name: 'all together', isFlat: true, processes: ({ server, client, main }: Sample) => [server, client, main] },
] as const;

function report(samples: readonly Sample[], machineText: string): void {
  const after = samples.slice(WARM_ROUND - 1);
  const series = (part: keyof Memory) =>
    ROLES.map(({ name, isFlat, processes }) => {
      const values = after.map((one) => sum(processes(one).map((memory) => memory[part])));
      const [first, last] = [values[0]!, values.at(-1)!];
      return {
        name: part === 'own' ? `${name}, its own` : name,
        isFlat,
        first,
        last,
        values,
        furthest: Math.max(...values.map((value) => Math.abs(value / first - 1))),
      };
    });
  const percent = (x: number) => `${(100 * x).toFixed(1)} %`;
  const all = [...series('resident'), ...series('own')];
  const rows = all.map(({ name, first, last, values, furthest }) => [
    name,
    formatBytes(first),
    formatBytes(last),
    percent(last / first - 1),
    formatBytes(Math.min(...values)),
    formatBytes(Math.max(...values)),
    percent(furthest),
  ]);
  const header = [
    'resident memory',
    `after round ${WARM_ROUND}`,
    `after round ${samples.length}`,
    'change',
    'least',
    'most',
    `furthest from round ${WARM_ROUND}`,
  ];
  process.stdout.write(`${machineText}\n\n${table(header, rows)}`);
  const moved = all.filter(({ isFlat, furthest }) => isFlat && furthest > TOLERANCE);
  if (moved.length > 0)
    throw new Error(
      `more than ${percent(TOLERANCE)} away from round ${WARM_ROUND}: ${moved.map(({ name }) => name).join('; ')}`,
    );
}

await main(
  new Command('bench:rss')
    .addOption(new Option('--model <dir>', 'Hugging Face directory').env('FEDBIOT_TEST_MODEL').makeOptionMandatory())
    .addOption(
      new Option('--data <dir>', 'folder with gsm8k/train.jsonl and instructions/train.jsonl')
        .env('FEDBIOT_TEST_DATA')
        .makeOptionMandatory(),
    )
    .option('--rounds <n>', 'rounds', positiveInteger, 30)
    .parse()
    .opts<Options>(),
);
