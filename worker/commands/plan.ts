import { availableParallelism } from 'node:os';
import type { Command } from 'commander';
import { EXIT } from '../../crds/facts/exit-codes.ts';
import type { Provider } from '../engine/compute-protocol.ts';
import { notEmpty, positiveInteger, providerOption } from './arguments.ts';
import { listenForInterrupts } from './interrupts.ts';

export function register(program: Command): void {
  program
    .command('plan')
    .summary('estimate the layers, sizes, traffic, memory and time of a job')
    .description(
      'Prints, without starting the job, which layers the emulator keeps, the size of each part, the bytes transferred per round, whether this machine has enough memory, and about how long its rounds take. To know the time, it computes for some seconds as the job would.',
    )
    .argument('<job>', 'manifest of a FedBiOTJob, YAML or JSON', notEmpty)
    .option('--workers <n>', 'as in fedbiot run', positiveInteger)
    .option('--threads <n>', 'as in fedbiot run', positiveInteger)
    .addOption(providerOption())
    .option('--no-time', 'do not measure and estimate the time')
    .option('--json', 'print JSON; sizes in bytes, times in seconds')
    .addHelpText(
      'after',
      `
Examples:
  $ fedbiot plan job.yaml
  $ fedbiot plan job.yaml --workers 4 --threads 2       the time of fedbiot run with these options
  $ fedbiot plan job.yaml --provider cuda --no-time     memory of a GPU, on any machine
  $ fedbiot plan job.yaml --no-time --json | jq .memory`,
    )
    .action(planCommand);
}

interface Flags {
  workers?: number;
  threads?: number;
  provider: Provider;
  time: boolean;
  json?: true;
}

async function planCommand(job: string, flags: Flags): Promise<void> {
  const [{ estimateManifest }, { planText }] = await Promise.all([
    import('../run/estimate-job.ts'),
    import('../report/summary.ts'),
  ]);
  const { workers = 1, threads = availableParallelism(), provider } = flags;
  const stop = new AbortController();
  const { signal } = stop;
  const release = listenForInterrupts(stop, () => undefined);
  try {
    const timed = flags.time ? { threads } : {};
    const plan = await estimateManifest(job, { workers, provider, signal, ...timed });
    process.stdout.write(flags.json ? `${JSON.stringify(plan, null, 2)}\n` : planText(plan));
  } catch (error) {
    if (!signal.aborted || error !== signal.reason) throw error;
    process.stderr.write('interrupted\n');
    process.exitCode = EXIT.interrupted;
  } finally {
    release();
  }
}
