/**
 * Measures memory and time of each role, of `fedbiot run` and of `fedbiot eval` on a model with the shape of LLaMA-2-7B
 * and random weights, in control groups with limits (as root), beside what `fedbiot plan` says:
 *
 *   npm run bench:7b -- [--layers 4] [--python python3] [--out results.json] > table.md
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { positiveInteger } from '../worker/commands/arguments.ts';
import { formatBytes } from '../worker/report/format.ts';
import { machine } from './machine.ts';
import { memorySource } from './memory-group.ts';
import { writeSevenBillion, writeSevenBillionJob } from './seven-billion-job.ts';
import { measureEval, measureRole, measureRun } from './seven-billion-measure.ts';
import type { Measured } from './seven-billion-measure.ts';
import { measureRivalry } from './seven-billion-rival.ts';
import { sevenBillionTables } from './seven-billion-tables.ts';
import type { SevenBillionResults } from './seven-billion-tables.ts';

const GIB = 2 ** 30;
const LENGTHS = [256, 64, 512];
/** The length of the measurements that are made once. */
const USUAL_LENGTH = 256;
/** PyTorch's float32 weights of more layers would not fit into a usual machine. */
const RIVAL_LAYERS = 4;
/** Limits of the control groups. */
const LIMIT = { run: 16 * GIB, client: 6 * GIB, eval: 4 * GIB };

interface Options {
  layers: number;
  threads: number;
  python?: string;
  out?: string;
}

async function main({ layers, threads, python, out }: Options): Promise<void> {
  const results: SevenBillionResults = {
    machine: machine(),
    settings: { layers, threads },
    memorySource,
    measured: [],
    rivalry: null,
  };
  const folder = mkdtempSync(join(tmpdir(), 'fedbiot-7b-'));
  try {
    const model = join(folder, 'model');
    await writeSevenBillion(model, layers);
    const keep = () => out && writeFileSync(out, `${JSON.stringify(results, null, 1)}\n`);
    const add = async (measurement: Promise<Measured>) => {
      const measured = await measurement;
      results.measured.push(measured);
      keep();
      const { what, length, seconds, memory } = measured;
      process.stderr.write(`${what}, ${length} tokens: ${formatBytes(memory.anonymous)}, ${seconds.toFixed(0)} s\n`);
    };
    for (const length of LENGTHS) {
      const evaluates = length === USUAL_LENGTH;
      const setting = { job: writeSevenBillionJob(folder, { model, layers, length, evaluates }), threads };
      await add(measureRun({ ...setting, limit: LIMIT.run }));
      if (evaluates) {
        await add(measureRole('client', { ...setting, limit: LIMIT.client }));
        await add(measureEval({ ...setting, limit: LIMIT.eval }));
        await add(measureRole('evaluation', { ...setting, limit: null }));
        const common = { model, layers, length, evaluates };
        const emulated = { job: writeSevenBillionJob(folder, { ...common, weights: 'Int8' }), threads };
        await add(measureRole('server', { ...emulated, limit: null }));
        await add(measureRole('client', { ...emulated, limit: LIMIT.client }));
        const rounded = { job: writeSevenBillionJob(folder, { ...common, weights: 'Int4' }), threads };
        await add(measureRole('rounding', { ...rounded, limit: null }));
        const computed = { job: writeSevenBillionJob(folder, { ...common, computeWeights: 'Int8' }), threads };
        await add(measureRole('server', { ...computed, limit: null }));
        await add(measureRole('evaluation', { ...computed, limit: null }));
        await add(measureEval({ ...computed, limit: LIMIT.eval }));
      }
      await add(measureRole('server', { ...setting, limit: null }));
      await add(measureRole('client', { ...setting, limit: null }));
    }
    if (python !== undefined) {
      const cut = { model: join(folder, 'cut'), layers: RIVAL_LAYERS, length: USUAL_LENGTH, evaluates: false };
      await writeSevenBillion(cut.model, cut.layers);
      const job = writeSevenBillionJob(cut.model, cut);
      results.rivalry = await measureRivalry({ ...cut, job }, { python, threads });
      keep();
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  process.stdout.write(sevenBillionTables(results));
}

await main(
  new Command('bench:7b')
    .option('--layers <n>', 'layers of the shape, at least 4', positiveInteger, 32)
    .option('--threads <n>', 'threads to compute with', positiveInteger, 2)
    .addOption(
      new Option('--python <program>', 'also measure PyTorch, by a Python with bench/requirements.txt').env(
        'FEDBIOT_PYTHON',
      ),
    )
    .option('--out <file>', 'all measurements, as JSON')
    .parse()
    .opts<Options>(),
);
