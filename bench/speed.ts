/**
 * Measures speed and memory of a round, and of the same steps in PyTorch (torch_round.py), on this machine:
 *
 * npm run bench:speed -- --model DIR --data DIR [--public gsm8k] [--batch 1 4] [--repeats 3] [--provider cuda]
 * [--weights Int8] [--out results.json] > table.md
 *
 * Where the processor has AMX or AVX-512 for bfloat16, torch also computes in bfloat16, as its users do for speed: the
 * frozen model in bfloat16, LoRA and optimizer in float32. Its losses differ from ours by the rounding.
 *
 * Our runs and torch's alternate. Ours writes a trace, which torch replays, so that both compute the same steps from
 * the same LoRA. Times start when everything is loaded and both sides have computed their longest batch once. Our times
 * are those of report.json, for whole phases including the writing of the trace; torch's are the sum of its steps,
 * without the files that it writes between them.
 */
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { positiveInteger, providerOption } from '../worker/commands/arguments.ts';
import type { Provider } from '../worker/engine/compute-protocol.ts';
import { openModelDirectory } from '../worker/model/directory.ts';
import { alignmentStep, clientStep, emulatorStates, teacherStates } from '../worker/estimate/flops.ts';
import type { Shape } from '../worker/estimate/flops.ts';
import { run, stepsOf } from './fedbiot.ts';
import { gemmPeak } from './gemm-peak.ts';
import { hasFastBfloat16, machine } from './machine.ts';
import { measureMemory } from './role-memory.ts';
import { CLIENTS, SEQUENCE_LENGTH, writeJob } from './speed-job.ts';
import type { Case } from './speed-job.ts';
import { speedTables } from './speed-tables.ts';
import type { Measurement, SpeedResults } from './speed-tables.ts';
import { sum } from './statistics.ts';
import { readTrace, replayInTorch, sequencesOf } from './torch-replay.ts';
import type { TorchPrecision, TorchResult } from './torch-replay.ts';
import { watchTree } from './tree-memory.ts';
import type { TreeMemory } from './tree-memory.ts';

/** Maximum relative difference between the losses of both sides, of which only ours rounds weights to 8 bits. */
const TOLERANCE = { AsStored: 1e-3, Int8: 0.25 };

interface Options {
  model: string;
  data: string;
  public: string;
  python: string;
  batch: number[];
  repeats: number;
  threads: number;
  provider: Provider;
  weights: keyof typeof TOLERANCE;
  alignSteps: number;
  localSteps: number;
  out?: string;
}

async function main(options: Options): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'fedbiot-speed-'));
  const results: SpeedResults = {
    machine: machine(),
    settings: { ...options, sequenceLength: SEQUENCE_LENGTH, clients: CLIENTS },
    torch: {},
    peaks: [],
    measurements: [],
    memory: [],
  };
  const keep = () => options.out && writeFileSync(options.out, `${JSON.stringify(results, null, 1)}\n`);
  try {
    results.peaks.push(...(await gemmPeak(options)));
    for (const batchSize of options.batch) {
      const cases = (['round', 'steady'] as const).flatMap((kind) =>
        [0, 1].map((klWeight): Case => ({ kind, klWeight, batchSize })),
      );
      for (let repeat = 0; repeat < options.repeats; repeat++) {
        for (const one of cases) {
          const measured = await measure(
            one,
            options,
            join(folder, `${one.kind}-${one.klWeight}-${batchSize}-${repeat}`),
          );
          results.torch = measured.versions;
          results.measurements.push({ ...one, repeat, ...measured.measurement });
          keep();
          process.stderr.write(
            `batch ${batchSize}, repeat ${repeat + 1}: ${one.kind} at klWeight ${one.klWeight} done\n`,
          );
        }
      }
      for (const klWeight of [0, 1]) {
        const job = await writeJob(
          { kind: 'round', klWeight, batchSize },
          options,
          join(folder, `memory-${klWeight}-${batchSize}`),
        );
        results.memory.push(...(await measureMemory({ ...job, ...options, batchSize, klWeight })));
      }
      keep();
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  process.stdout.write(speedTables(results));
  const worst = Math.max(...results.measurements.map(({ lossError }) => lossError));
  if (!(worst <= TOLERANCE[options.weights])) throw new Error(`a loss differs from PyTorch's by ${worst}, relatively`);
}

async function measure(
  one: Case,
  options: Options,
  folder: string,
): Promise<{ measurement: Measurement; versions: TorchResult['versions'] }> {
  const { model, python, threads, provider } = options;
  const { path, spec } = await writeJob(one, options, folder);
  const out = join(folder, 'ours');
  const trace = join(folder, 'trace');
  const memory: Partial<Record<keyof Measurement['memory'], TreeMemory>> = {};
  const watch = (side: keyof typeof memory) => (child: ChildProcess) => void (memory[side] = watchTree(child));
  const report = await run({ job: path, out, threads, provider, trace, onStart: watch('ours') });
  const replay = (precision: TorchPrecision) =>
    replayInTorch({
      python,
      threads,
      provider,
      model,
      spec,
      plan: report.plan,
      trace,
      out: join(folder, `torch-${precision}`),
      precision,
      onStart: watch(precision),
    });
  const torch = await replay('float32');
  const bfloat16 = provider === 'cpu' && hasFastBfloat16() ? await replay('bfloat16') : null;

  const last = spec.federation.rounds;
  const ours = stepsOf(out);
  const theirs = torchSteps(torch);
  if (theirs.length !== ours.length) throw new Error(`we computed ${ours.length} steps, torch ${theirs.length}`);
  const halfSteps = bfloat16 === null ? null : torchSteps(bfloat16);
  const pairs = theirs.map((their) => {
    const our = ours.find(
      ({ phase, round, client, step }) =>
        phase === their.phase && round === their.round && client === their.client && step === their.step,
    );
    if (!our) throw new Error(`torch computed a step that we did not: ${JSON.stringify(their)}`);
    return { our, their };
  });

  const { config } = await openModelDirectory(model);
  const { layers } = report.plan;
  const emulatorLayers = layers.emulator.length;
  const shape: Shape = {
    config,
    adapterLora: spec.adapter.lora,
    emulatorLora: spec.emulator.alignment.lora,
    teacherLayers: emulatorLayers + layers.dropped.length,
    emulatorLayers,
    frontLayers: 0,
    tailLayers: layers.adapter.length,
  };
  const batches = readTrace(trace).filter(({ round }) => round === last - 1);
  const aligned = batches.filter(({ phase }) => phase === 'align');
  const trained = batches.filter(({ phase }) => phase === 'client');
  const work = (of: typeof batches, cost: (sequences: ReturnType<typeof sequencesOf>) => number) =>
    sum(of.map((batch) => cost(sequencesOf(batch))));
  const alignSteps = work(aligned, (sequences) => alignmentStep(shape, sequences, spec.emulator.alignment));
  const clientSteps = work(trained, (sequences) => clientStep(shape, sequences));

  const { seconds } = report.rounds[last - 1]!;
  const phaseOf = (phase: 'align' | 'local') => {
    const steps = pairs.filter(({ our }) => our.phase === phase && our.round === last);
    const half = halfSteps?.filter((step) => step.phase === phase && step.round === last).map(({ s }) => s) ?? null;
    return {
      tokens: sum(steps.map(({ our }) => our.tokens)),
      torch: sum(steps.map(({ their }) => their.s)),
      bfloat16: half && sum(half),
      steps: { ours: steps.map(({ our }) => our.ms / 1000), torch: steps.map(({ their }) => their.s), bfloat16: half },
    };
  };
  const measurement: Measurement = {
    align: {
      ...phaseOf('align'),
      ours: seconds.align,
      flops: {
        steps: alignSteps,
        phase: alignSteps + (one.kind === 'steady' ? 0 : work(aligned, (sequences) => teacherStates(shape, sequences))),
      },
    },
    local: {
      ...phaseOf('local'),
      ours: seconds.local,
      flops: {
        steps: clientSteps,
        phase: clientSteps + work(trained, (sequences) => emulatorStates(shape, sequences)),
      },
    },
    aggregate: seconds.aggregate,
    memory: {
      ours: memory.ours?.peak ?? 0,
      float32: memory.float32?.peak ?? 0,
      bfloat16: memory.bfloat16?.peak ?? null,
    },
    lossError: Math.max(...pairs.map(({ our, their }) => Math.abs(our.loss - their.loss) / Math.abs(their.loss))),
  };
  return { measurement, versions: torch.versions };
}

/** The steps of a replay, named as ours. */
function torchSteps({ phases }: TorchResult) {
  return phases.flatMap(({ phase, round, client, steps }) =>
    steps.map(({ loss, s }, step) => ({
      phase: phase === 'align' ? 'align' : 'local',
      round: round + 1,
      client: client < 0 ? null : client,
      step,
      loss,
      s,
    })),
  );
}

const options = new Command('bench:speed')
  .addOption(new Option('--model <dir>', 'Hugging Face directory').env('FEDBIOT_TEST_MODEL').makeOptionMandatory())
  .addOption(
    new Option('--data <dir>', 'folder with gsm8k/train.jsonl and the public data')
      .env('FEDBIOT_TEST_DATA')
      .makeOptionMandatory(),
  )
  .addOption(
    new Option('--python <program>', 'Python with bench/requirements.txt').env('FEDBIOT_PYTHON').default('python3'),
  )
  .option('--public <folder>', 'its subfolder with the public data for alignment', 'instructions')
  .option('--batch <sizes...>', 'batch sizes', (size: string, sizes: number[] | undefined) => [
    ...(sizes ?? []),
    positiveInteger(size),
  ])
  .option('--repeats <n>', 'number of measurements', positiveInteger, 3)
  .option('--threads <n>', 'number of threads of each side', positiveInteger, 2)
  .addOption(providerOption('provider for both sides'))
  .addOption(
    new Option('--weights <format>', 'weights of our emulator and of our passes without a gradient')
      .choices(Object.keys(TOLERANCE))
      .default('AsStored'),
  )
  .option('--align-steps <n>', 'alignment steps per round', positiveInteger, 10)
  .option('--local-steps <n>', 'steps of each client per round', positiveInteger, 30)
  .option('--out <file>', 'all measurements, as JSON')
  .parse()
  .opts<Omit<Options, 'batch'> & { batch?: number[] }>();
await main({ ...options, batch: options.batch ?? [1] });
